"""Clients of a fleet that do not give up, and what they check when it is quiet again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import httpx

from . import invariants
from .fleet import Fleet
from .kills import rows
from .service import until

_OPEN = "SELECT count(*) AS n FROM runs WHERE status IN ('pending', 'running')"
_LEFT = (
    "SELECT status, attempt, owner, heartbeat_at, now() AS now, cancel_requested, thread_id FROM runs"
    " WHERE status IN ('pending', 'running') ORDER BY status DESC LIMIT 10"
)


def threads_of(fleet: Fleet, count: int) -> list[str]:
    """Make threads."""
    with fleet.client() as client:
        return [str(client.post("/threads", json={}).raise_for_status().json()["thread_id"]) for _ in range(count)]


def ask(client: httpx.Client, thread: str, *, each: float = 0.05) -> str:
    """Begin a run; its id."""
    body = {"assistant_id": "work", "input": {"each": each}}
    return str(client.post(f"/threads/{thread}/runs", json=body).raise_for_status().json()["run_id"])


def insist(fleet: Fleet, threads: Sequence[str], *, each: float, over_s: float) -> list[str]:
    """Begin one run per entry, evenly over a time, whatever happens to the server; the ids that were promised to us.

    A request whose answer was lost is sent again: its run may exist twice, so runs are counted in the database.
    """
    promised: list[str] = []
    deadline = time.monotonic() + over_s + 60
    for thread in threads:
        time.sleep(over_s / len(threads))
        while True:
            with suppress(httpx.HTTPError), fleet.client() as client:
                promised.append(ask(client, thread, each=each))
                break
            assert time.monotonic() < deadline, f"no answer for {thread}"
            time.sleep(0.1)
    return promised


def in_parallel(work: Callable[[int], Any], count: int) -> list[Any]:
    """Do something in so many threads; the results, or the first failure."""
    results: list[Any] = [None] * count
    failures: list[BaseException] = []

    def one(number: int) -> None:
        try:
            results[number] = work(number)
        except (AssertionError, httpx.HTTPError) as exc:
            failures.append(exc)

    crew = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(count)]
    for member in crew:
        member.start()
    for member in crew:
        member.join()
    if failures:
        raise failures[0]
    return results


def quiet(fleet: Fleet, *, seconds: float = 60) -> None:
    """Wait until no run is open; nobody kills meanwhile."""
    try:
        until(lambda: _at_rest(fleet), "all runs to end", seconds=seconds)
    except AssertionError as exc:
        raise AssertionError(f"{exc}: {rows(fleet.database_url, _LEFT)}") from exc


def _at_rest(fleet: Fleet) -> bool:
    fleet.revive()
    return rows(fleet.database_url, _OPEN)[0].n == 0


def whole(fleet: Fleet, *, promised: Iterable[str] = ()) -> None:
    """All invariants hold, and nothing that was promised is missing."""
    url = fleet.database_url
    statuses = {row.id: row.status for row in rows(url, "SELECT id, status FROM runs")}
    assert not [run for run in promised if run not in statuses], "a run was promised and is not there"
    assert {run: status for run, status in statuses.items() if status != "success"} == {}
    invariants.ends_once(url)
    invariants.free(url)
    invariants.gapless(url)
    traces = invariants.traced(fleet.traces)
    invariants.never_back(traces, fleet.paused)
    invariants.paid_for(url, traces)
    with fleet.client() as client:
        states = {row.id: _done(client, row.id) for row in rows(url, "SELECT id FROM threads")}
    invariants.remembered_once(url, states)


def _done(client: httpx.Client, thread: str) -> list[str]:
    """What a thread's state remembers; a first read after a cut may still meet a connection that is dead."""
    answer = until(lambda: _read(client, thread), f"the state of {thread}", seconds=20)
    done: list[str] = answer.json()["values"].get("done", [])
    return done


def _read(client: httpx.Client, thread: str) -> httpx.Response | None:
    answer = client.get(f"/threads/{thread}/state")
    return answer if answer.is_success else None


class Storm:
    """Random harm, one after the other, each undone before the next begins.

    Args:
        fleet: To harm.
        dice: What decides.
    """

    def __init__(self, fleet: Fleet, dice: random.Random) -> None:
        self.harms: list[str] = []
        self._fleet = fleet
        self._dice = dice
        self._ways = (
            self._kill_worker,
            self._kill_worker,
            self._kill_server,
            self._kill_broker,
            self._pause_worker,
            self._disconnect,
            self._cut,
        )

    def blow(self, seconds: float) -> None:
        """Harm until time is up."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(self._dice.uniform(0.1, 1.0))
            self._fleet.revive()
            way = self._dice.choice(self._ways)
            self.harms.append(way.__name__.strip("_"))
            way()

    def _kill_worker(self) -> None:
        worker = self._dice.choice(self._fleet.workers)
        worker.kill()
        time.sleep(self._dice.uniform(0, 0.5))
        worker.start()

    def _kill_server(self) -> None:
        self._fleet.server.kill()
        self._fleet.server.start()

    def _kill_broker(self) -> None:
        self._fleet.broker.kill()
        time.sleep(self._dice.uniform(0, 1.0))
        self._fleet.broker.start()

    def _pause_worker(self) -> None:
        worker = self._dice.choice(self._fleet.workers)
        self._fleet.paused.add(worker.pid)
        worker.pause()
        time.sleep(self._dice.uniform(3.5, 5.0))  # past its lease
        worker.wake()

    def _disconnect(self) -> None:
        for _ in range(self._dice.randint(1, 5)):
            self._fleet.disconnect_everybody()
            time.sleep(0.1)

    def _cut(self) -> None:
        self._fleet.proxy.cut(reset=self._dice.random() < 0.5)
        time.sleep(self._dice.uniform(0.5, 4.5))
        self._fleet.proxy.mend()
