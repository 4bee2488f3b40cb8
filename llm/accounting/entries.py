"""From what became of a request to its row. Pure, and quick: it is done for every request."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from ...core.types import new_id
from ...store.texts import clean_text, dump_json, is_suspect
from ..chat import Caller, Outcome
from ..usage import Usage

_ASKED: Final = frozenset({"miss", "bypass"})
_LONGEST: Final = 400
"""Letters of an id or a name that are kept; names that are shorter together are not looked into one by one."""
_MOST_RAW: Final = 8_000
"""Bytes of the provider's own usage object; a longer one is not kept."""
_BIGGEST: Final = 2**62

_NAMES: Final = (
    *("request_id", "owner_id", "tenant_id", "key_id", "thread_id", "run_id", "agent"),
    *("provider", "model", "price_version", "error"),
)
_COUNTS: Final = (
    *("prompt_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("completion_tokens", "reasoning_tokens", "cost", "saved", "baseline_cost"),
)
COLUMNS: Final = (
    "id",
    *_NAMES,
    *_COUNTS,
    *("usage", "estimated", "first_token_ms", "duration_ms", "tokens_per_second"),
    *("attempts", "cache", "degraded", "day", "started_at"),
)
Row = tuple[Any, ...]
"""Values of `COLUMNS`; JSON and times are text already."""


class Entry(NamedTuple):
    """A request as the ledger keeps it until it is written.

    Attributes:
        at: When it was noted, in seconds since 1970.
        model: The model that answered, else what was asked for.
        chat: Whether the best model could have answered too: it does not embed.
    """

    at: float
    request_id: str
    caller: Caller
    outcome: Outcome
    streamed: bool
    model: str
    chat: bool = True


def row_of(entry: Entry, baseline: Callable[[Usage], int]) -> Row:
    """Make the row; what a client or a provider made up is cut to what both databases take."""
    outcome, usage = entry.outcome, entry.outcome.usage
    ended = outcome.began if outcome.ended is None else outcome.ended
    took = max(ended - outcome.began, 0.0)
    started = datetime.fromtimestamp(entry.at - took, UTC).isoformat(" ", "microseconds")
    return (
        new_id(),
        *_names(entry),
        *_counts(outcome, baseline(usage) if entry.chat else outcome.cost),
        _raw(outcome.raw_usage),
        usage.estimated,
        _first_token_ms(entry),
        round(took * 1000, 3),
        _speed(entry, ended),
        outcome.attempts,
        outcome.cache,
        outcome.degraded or "",
        started[:10],
        started,
    )


def _names(entry: Entry) -> tuple[str, ...]:
    caller, outcome = entry.caller, entry.outcome
    names = (
        entry.request_id,
        caller.user_id,
        caller.tenant_id,
        caller.key_id,
        caller.thread_id,
        caller.run_id,
        caller.agent,
        outcome.provider,
        entry.model,
        outcome.price_version,
        outcome.error,
    )
    together = "".join(names)
    if len(together) <= _LONGEST and together.isascii() and together.isprintable():
        return names
    return tuple(clean_text(name)[:_LONGEST] for name in names)


def _counts(outcome: Outcome, baseline: int) -> tuple[int, ...]:
    usage = outcome.usage
    counts = (
        usage.input_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.cache_write_1h_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        outcome.cost,
        outcome.saved,
        baseline,
    )
    if min(counts) >= 0 and max(counts) <= _BIGGEST:
        return counts
    return tuple(min(max(count, 0), _BIGGEST) for count in counts)


def _first_token_ms(entry: Entry) -> float | None:
    outcome = entry.outcome
    if outcome.first is None or not entry.streamed:
        return None
    return round(max(outcome.first - outcome.began, 0.0) * 1000, 3)


def _speed(entry: Entry, ended: float) -> float | None:
    """Tokens a second of an answer that a model gave: from its first token if it was streamed."""
    outcome = entry.outcome
    begun = outcome.first if entry.streamed and outcome.first is not None else outcome.began
    took, tokens = ended - begun, outcome.usage.output_tokens
    return round(tokens / took, 2) if outcome.cache in _ASKED and took > 0 and tokens > 0 else None


def _raw(usage: dict[str, Any]) -> str:
    if not usage:
        return "{}"
    try:
        told = orjson.dumps(usage)
    except TypeError:  # no number or text that JSON knows
        return "{}"
    text = told.decode() if len(told) <= _MOST_RAW else "{}"
    return dump_json(usage) if is_suspect(text) else text
