"""What a person said in a request, as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def turns(body: Mapping[str, Any]) -> list[str]:
    """Return the texts of the person's messages, in order."""
    return [plain(message.get("content")) for message in body["messages"] if message.get("role") == "user"]


def plain(content: Any) -> str:
    """Join the texts of a message's content; pictures are left out."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or "" for part in content or () if isinstance(part, dict))
