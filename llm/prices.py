"""What models cost: prices in integer nano-dollars per million tokens, from the catalogue or else from genai-prices."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from .catalog import Model, Price
from .usage import Usage

NANO: Final = 1_000_000_000
_MILLION: Final = 1_000_000
_PERIOD_S: Final = 1_800
"""Some providers' prices depend on the hour."""
_FIELDS: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
}

Seed = Callable[[Model, datetime], Price]


def cost(price: Price, usage: Usage) -> int:
    """Tell what a usage costs, in nano-dollars; rounded once, half up."""
    for above, long in price.long:
        if usage.input_tokens > above:
            price = long
    reads, writes, hours = usage.cached_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens
    plain = max(0, usage.input_tokens - reads - writes - hours)
    write = price.input if price.cache_write is None else price.cache_write
    total = (
        plain * price.input
        + usage.output_tokens * price.output
        + reads * (price.input if price.cached is None else price.cached)
        + writes * write
        + hours * (write if price.cache_write_1h is None else price.cache_write_1h)
    )
    return (total + _MILLION // 2) // _MILLION


def dollars(amount: Decimal | float | str) -> int:
    """Turn dollars into nano-dollars; what is finer is rounded half up."""
    return int((Decimal(str(amount)) * NANO).to_integral_value(ROUND_HALF_UP))


class Repricing:
    """Gives rows their prices, and new ones when the time has come.

    Args:
        unpriced: Ids of the rows whose prices are not written in the catalogue.
        seed: What a row costs at a time.
        clock: Seconds since 1970.
    """

    def __init__(
        self, unpriced: Collection[str], *, seed: Seed | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._unpriced = tuple(unpriced)
        self._seed = seed or seeded
        self._clock = clock
        self._due = 0.0 if self._unpriced else float("inf")

    def __call__(self, models: Mapping[str, Model]) -> Iterable[Model]:
        """Give the rows whose prices differ from those they have."""
        now = self._clock()
        if now < self._due:
            return ()
        self._due = (now // _PERIOD_S + 1) * _PERIOD_S
        moment = datetime.fromtimestamp(now, UTC)
        found = ((models[name], self._seed(models[name], moment)) for name in self._unpriced if name in models)
        return [replace(model, price=price) for model, price in found if price != model.price]


def seeded(model: Model, moment: datetime) -> Price:
    """Ask genai-prices; a model that it does not know is free and its price's version is `unknown`."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - 4 MB that a catalogue with prices spares

    try:
        _, known = get_snapshot().find_provider_model(model.upstream, None, None, model.provider.base_url)
        found = known.get_prices(moment)
    except LookupError:
        return Price(version="unknown")
    values = {ours: getattr(found, theirs, None) for ours, theirs in _FIELDS.items()}
    told = f"genai-prices {_version()} {moment:%Y-%m-%d}"
    starts = sorted({tier.start for value in values.values() for tier in getattr(value, "tiers", ())})
    long = tuple((start, Price(**_at(values, start), version=told)) for start in starts)
    return Price(**_at(values, None), long=long, version=told)


def _at(values: Mapping[str, Any], start: int | None) -> dict[str, Any]:
    """Read the prices that hold for prompts of more than `start` tokens."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        price = getattr(value, "base", value)
        for tier in getattr(value, "tiers", ()):
            if start is not None and tier.start <= start:
                price = tier.price
        if price is not None:
            found[name] = dollars(price)
    return found


@cache
def _version() -> str:
    return version("genai-prices")
