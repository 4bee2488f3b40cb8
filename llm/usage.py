"""Counting tokens: the provider's numbers where there are some, else an estimate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from langchain_core.messages import BaseMessage
from langchain_core.messages.ai import UsageMetadata

CHARS_PER_TOKEN = 3.6


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call or of many."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """Sum two usages."""
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)

    def metadata(self) -> UsageMetadata:
        """Render as LangChain's `usage_metadata`."""
        return UsageMetadata(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            total_tokens=self.total_tokens,
        )


def estimate_tokens(*texts: str) -> int:
    """Guess how many tokens the texts have; never 0 for a text that is not empty."""
    chars = sum(map(len, texts))
    return -(-chars * 10 // round(CHARS_PER_TOKEN * 10))


def total_usage(messages: Iterable[BaseMessage]) -> Usage:
    """Sum the `usage_metadata` of the messages that carry it."""
    found = [getattr(message, "usage_metadata", None) for message in messages]
    return sum((Usage(u["input_tokens"], u["output_tokens"]) for u in found if u), Usage())
