"""The wiring of breakers, seats and attempts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from random import Random

from ...core.settings_llm import LLMSettings, ResilienceSettings
from ..seams import Adapter
from .attempts import Pace, Upstreams
from .breaker import Rules
from .lines import Lines


def build_attempts(
    adapters: Mapping[str, Adapter],
    settings: LLMSettings,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    random: Random | None = None,
) -> Upstreams:
    """Wire the attempts.

    Args:
        adapters: By the provider's name.
        settings: The gateway's.
        clock: Seconds, monotonic.
        sleep: Waits so many seconds.
        random: For jitter and for draws among peers.
    """
    random = random or Random()  # noqa: S311 - jitter
    own = settings.resilience
    lines = Lines(adapters, rules=_rules(own), slow_s=own.slow_first_token_s, clock=clock, random=random)
    pace = Pace(settings=own, timeout_s=settings.timeout_s, max_retries=settings.max_retries, clock=clock, sleep=sleep)
    return Upstreams(lines, pace=pace, random=random)


def _rules(settings: ResilienceSettings) -> Rules:
    return Rules(
        window_s=settings.window_s,
        min_calls=settings.min_calls,
        ratio=settings.failure_ratio,
        connect_failures=settings.connect_failures,
        open_s=settings.open_s,
        longest_open_s=max(settings.open_s, settings.longest_open_s),
    )
