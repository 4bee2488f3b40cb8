"""OpenAI's dialect over HTTP, as raw ASGI."""
