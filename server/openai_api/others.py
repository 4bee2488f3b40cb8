"""`/v1/models` and `/v1/embeddings`."""

from __future__ import annotations

import time
from typing import Any

import orjson

from ...llm.catalog import Model
from ...llm.chat import CompletionRequest
from ...llm.dialect_request import in_base64, read_embedding
from .chat import told
from .controls import read_headers
from .door import Visitor, no_such_model
from .exchange import Exchange
from .serving import Gateway
from .watching import Watch


async def list_models(exchange: Exchange, gateway: Gateway, visitor: Visitor) -> None:
    """List the models that the visitor may ask for."""
    found = [_rendered(model) for model in gateway.models(visitor.principal) if visitor.may_ask(model.id)]
    await exchange.reply(200, orjson.dumps({"object": "list", "data": found}))


async def get_model(exchange: Exchange, gateway: Gateway, visitor: Visitor, model_id: str) -> None:
    """Show one model."""
    visitor.check_model(model_id)
    found = next((model for model in gateway.models(visitor.principal) if model.id == model_id), None)
    if found is None:
        raise no_such_model(model_id)
    await exchange.reply(200, orjson.dumps(_rendered(found)))


async def embed(exchange: Exchange, gateway: Gateway, visitor: Visitor) -> None:
    """Embed texts or tokens."""
    raw = await exchange.body()
    body = read_embedding(raw)
    visitor.check_model(body["model"])
    caller, controls = read_headers(exchange.headers, visitor.principal, visitor.key_id)
    guess = visitor.admit(len(raw), time.monotonic())
    used = 0
    floats = {**body, "encoding_format": "float"}
    request = CompletionRequest(body=floats, caller=caller, controls=controls, id=exchange.id)
    try:
        with Watch(exchange.receive):
            answer, outcome = await gateway.embed(request)
            used = outcome.usage.total_tokens
            if body.get("encoding_format") == "base64":
                answer = in_base64(answer)
            await exchange.reply(200, orjson.dumps(answer), told(outcome))
    finally:
        visitor.correct(guess, used)


def _rendered(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": 0, "owned_by": model.provider.name}
