"""What the endpoint serves: the gateway and the keys, behind the few methods it uses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...auth.api_keys.schemas import KnownKey
from ...core.types import Principal
from ...llm.catalog import Model
from ...llm.chat import CompletionRequest, Outcome
from ...llm.events import Batch


class Answering(Protocol):
    """An answer as it is made."""

    @property
    def outcome(self) -> Outcome:
        """What is known of it so far."""
        ...

    async def first(self) -> None:
        """Wait until it is known who answers; raises what went wrong before."""
        ...

    def __aiter__(self) -> AsyncIterator[Batch]:
        """Give all batches; raises what goes wrong on the way."""
        ...

    async def close(self) -> None:
        """Let it go; what was used is paid."""
        ...


class Gateway(Protocol):
    """The model gateway."""

    def answer(self, request: CompletionRequest) -> Answering:
        """Begin an answer."""
        ...

    async def embed(self, request: CompletionRequest) -> tuple[dict[str, Any], Outcome]:
        """Embed; the answer is OpenAI's, its vectors lists of floats."""
        ...

    def models(self, principal: Principal) -> Sequence[Model]:
        """The models that a principal may ask for."""
        ...


class Keys(Protocol):
    """API keys."""

    def seen(self, token: str) -> KnownKey | None:
        """Return a key that was checked a moment ago; None says nothing."""
        ...

    async def verify(self, token: str) -> KnownKey | None:
        """Look a key up; None if there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What is there once the application has started."""

    gateway: Gateway
    keys: Keys
