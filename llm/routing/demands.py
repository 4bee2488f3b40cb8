"""What a request demands of a model whatever it is about: tools, pictures, JSON, room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..catalog import Capability, Model
from ..chat import CompletionRequest
from ..errors import NoModel
from ..usage import CHARS_PER_TOKEN

_WANTED: Final[dict[str, str]] = {
    "tools": "calls no tools",
    "vision": "sees no pictures",
    "json": "does not keep to JSON",
}
_DENSEST: Final = 8
"""No text has more characters than that to a token: what has more tokens than the window even so does not fit."""


class Demands:
    """What one request demands; each is looked up when somebody asks."""

    __slots__ = ("_body", "_chars", "_raw", "_sees")

    def __init__(self, request: CompletionRequest) -> None:
        self._body = request.body
        self._raw = request.raw
        self._sees: bool | None = None
        self._chars: int | None = None

    def lacking(self, model: Model) -> Capability | None:
        """Return what the model cannot do of it, if anything."""
        able = model.capabilities
        if "tools" not in able and self._body.get("tools"):
            return "tools"
        if "json" not in able and (self._body.get("response_format") or {}).get("type", "text") != "text":
            return "json"
        if "vision" not in able and self.sees:
            return "vision"
        return None

    def fits(self, model: Model, *, density: float = CHARS_PER_TOKEN) -> bool:
        """Whether the prompt has room in the model's window, at so many characters a token."""
        return self.chars <= model.window * density

    def met_by(self, model: Model) -> bool:
        """Whether the model can answer, as far as one can tell before."""
        return "embed" not in model.capabilities and self.lacking(model) is None and self.fits(model)

    def check(self, model: Model) -> None:
        """Raise `NoModel` for a model that was asked for by name and certainly cannot answer."""
        if "embed" in model.capabilities:
            raise NoModel(f"The model {model.id!r} embeds and does not chat.", code="unsupported_by_model")
        lacking = self.lacking(model)
        if lacking is not None:
            raise NoModel(
                f"The model {model.id!r} {_WANTED[lacking]}: name another, or add {lacking!r} to its capabilities "
                f"in the catalogue.",
                code="unsupported_by_model",
            )
        if not self.fits(model, density=_DENSEST):
            raise NoModel(
                f"The request is longer than the {model.window} tokens of {model.id!r}.",
                code="context_length_exceeded",
            )

    @property
    def sees(self) -> bool:
        """Whether there is a picture in it."""
        if self._sees is None:
            maybe = self._raw is None or b"image_url" in self._raw
            self._sees = maybe and any(part.get("type") == "image_url" for part in self._parts())
        return self._sees

    @property
    def chars(self) -> int:
        """Characters of its messages, pictures left out."""
        if self._chars is None:
            self._chars = sum(map(_length, self._body["messages"]))
        return self._chars

    def _parts(self) -> Iterator[dict[str, Any]]:
        for message in self._body["messages"]:
            content = message.get("content")
            if isinstance(content, list):
                yield from content


def _length(message: dict[str, Any]) -> int:
    content = message.get("content")
    if isinstance(content, list):
        return sum(len(part.get("text") or "") for part in content)
    return len(content or "")
