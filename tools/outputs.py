"""Long outputs: the model sees head and tail, the whole is kept as an artifact it can page through."""

from __future__ import annotations

from .context import RunContext

SHOWN = 10_000
_HEAD = 4_000


async def shown(text: str, context: RunContext) -> str:
    """Cut a text to its head and tail, and name the artifact that keeps the whole."""
    if len(text) <= SHOWN:
        return text
    kept = await context.artifacts.put(context.thread_id, text)
    head, tail = text[:_HEAD], text[len(text) - (SHOWN - _HEAD) :]
    left_out = len(text) - len(head) - len(tail)
    return f"{head}\n[… {left_out} characters left out; read_output(artifact_id={kept!r}) pages through all …]\n{tail}"
