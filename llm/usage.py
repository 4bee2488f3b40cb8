"""Counting tokens: the provider's numbers where there are some, else an estimate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from langchain_core.messages.ai import UsageMetadata

CHARS_PER_TOKEN = 3.6
_MOST: Final = 10**12
"""Tokens that one request may be said to have had: what they cost is still a number that a database takes."""


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens of one call or of many.

    Attributes:
        input_tokens: The whole prompt; the cached and the newly cached part are within.
        output_tokens: The whole answer; reasoning is within.
        cached_tokens: Read from the provider's prompt cache.
        cache_write_tokens: Written to it, for its usual time (five minutes at Anthropic).
        cache_write_1h_tokens: Written to it for an hour.
        reasoning_tokens: Thought, not said.
        estimated: Whether these are our guess, because the provider gave no numbers.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Prompt and answer together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """Sum two usages; a sum with a guess in it is a guess."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.estimated or other.estimated,
        )

    def metadata(self) -> UsageMetadata:
        """Render as LangChain's `usage_metadata`."""
        told: dict[str, Any] = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens": self.total_tokens,
        }
        if self.cached_tokens or self.cache_write_tokens or self.cache_write_1h_tokens:
            written = self.cache_write_tokens + self.cache_write_1h_tokens
            told["input_token_details"] = {"cache_read": self.cached_tokens, "cache_creation": written}
        if self.reasoning_tokens:
            told["output_token_details"] = {"reasoning": self.reasoning_tokens}
        return told  # type: ignore[return-value]


def count(value: Any) -> int:
    """Read a count of tokens as a provider tells it: nothing is 0; raises `TypeError` if it is no count."""
    if value is None:
        return 0
    if isinstance(value, int | float) and 0 <= value <= _MOST and value == int(value):
        return int(value)
    raise TypeError("not a count")


def estimate_tokens(*texts: str) -> int:
    """Guess how many tokens the texts have; never 0 for a text that is not empty."""
    return tokens_in(sum(map(len, texts)))


def tokens_in(size: int) -> int:
    """Guess how many tokens so many characters, or bytes, have."""
    return -(-size * 10 // round(CHARS_PER_TOKEN * 10))


def total_usage(messages: Iterable[BaseMessage]) -> Usage:
    """Sum the `usage_metadata` of the messages that carry it."""
    found = [getattr(message, "usage_metadata", None) for message in messages]
    return sum((Usage(u["input_tokens"], u["output_tokens"]) for u in found if u), Usage())
