"""The commit point: whether something has been said to the client that no other model may add to."""

from __future__ import annotations

import re
from typing import Final

from ..events import COMMITTING, Batch

_SAID: Final = re.compile(rb'"(?:content|refusal)"\s*:\s*"[^"]|"(?:tool_calls"\s*:\s*\[\s*\{|function_call"\s*:\s*\{)')
_PARTS: Final = re.compile(rb'"content"\s*:\s*\[\s*\{')
_ROLE: Final = re.compile(rb'"role"\s*:\s*"assistant"\s*,\s*|,\s*"role"\s*:\s*"assistant"|"role"\s*:\s*"assistant"')


def commits(batch: Batch) -> bool:
    """Tell whether a stream's batch says something; thoughts and empty pieces do not count.

    Bytes are searched, not read: a quotation mark within a JSON string is escaped, so that the patterns find keys only.
    """
    raw = batch.raw
    if raw is None or b'"error"' in raw or _PARTS.search(raw):  # an error is raised by reading it
        return any(isinstance(event, COMMITTING) for event in batch.events)
    return _SAID.search(raw) is not None


def without_role(batch: Batch) -> Batch:
    """Drop the role from a batch of bytes: the client was told it by the stream before."""
    raw = batch.raw
    if raw is None or b'"role"' not in raw:
        return batch
    return Batch(raw=_ROLE.sub(b"", raw), decode=batch.read)
