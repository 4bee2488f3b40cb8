"""Many runs under random harm: 200 over 50 threads, or a short form of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.crowd import Storm, in_parallel, insist, quiet, threads_of, whole
from tests.support.fleet import Fleet
from tests.support.kills import rows

pytestmark = [pytest.mark.timeout(900)]
CLIENTS = 5


def test_storm(start_fleet: Callable[..., Fleet], request: pytest.FixtureRequest) -> None:
    short = request.config.getoption("--short", default=True)
    dice = random.Random(request.config.getoption("--seed", default=0))  # noqa: S311 - a game of chance
    count, each, seconds = (10, 0.3, 15.0) if short else (50, 0.5, 150.0)
    fleet = start_fleet()
    threads = threads_of(fleet, count)
    work = [thread for thread in threads for _ in range(4)]
    dice.shuffle(work)
    storm = Storm(fleet, dice)
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(
            in_parallel, lambda n: insist(fleet, work[n::CLIENTS], each=each, over_s=0.8 * seconds), CLIENTS
        )
        storm.blow(seconds)  # in this thread: a process ends with the thread that started it
        promised = [run for part in begun.result() for run in part]
    quiet(fleet, seconds=120)
    assert len(promised) == count * 4
    whole(fleet, promised=promised)
    (told,) = rows(fleet.database_url, "SELECT count(*) AS runs, max(attempt) AS most FROM runs")
    print(f"{told.runs} runs, {told.most} deliveries at most, {dict(Counter(storm.harms))}")  # noqa: T201 - with -s
