"""Models: the demo model, the scripted model, any OpenAI-compatible endpoint."""
