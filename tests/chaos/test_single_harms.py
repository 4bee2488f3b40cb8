"""One harm at a time: what it costs, and that nothing else happens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from tests.support import invariants
from tests.support.crowd import ask, quiet, threads_of, whole
from tests.support.fleet import LEASE_S, Fleet, Member, broker_answers
from tests.support.kills import rows
from tests.support.service import until

pytestmark = [pytest.mark.timeout(180)]
Start = Callable[..., Fleet]


def begun(fleet: Fleet, run: str, node: str = "first") -> int:
    """Wait until a node of a run has begun; the process it began in."""

    def found() -> int:
        lines = (line for line in invariants.traced(fleet.traces) if (line["run"], line["node"]) == (run, node))
        return next((int(line["pid"]) for line in lines), 0)

    return int(until(found, f"{node} of {run} to begin"))


def holder(fleet: Fleet, run: str, node: str = "first") -> Member:
    """The worker that executes a run."""
    pid = begun(fleet, run, node)
    return next(worker for worker in fleet.workers if worker.pid == pid)


def attempt(fleet: Fleet, run: str) -> int:
    """How often a run was delivered."""
    return int(rows(fleet.database_url, "SELECT attempt FROM runs WHERE id = :r", r=run)[0].attempt)


def test_kill_of_a_worker(start_fleet: Start) -> None:
    """Another goes on at the last checkpoint, once the lease is over."""
    fleet = start_fleet()
    (thread,) = threads_of(fleet, 1)
    with fleet.client() as client:
        run = ask(client, thread, each=1.0)
    holder(fleet, run, "second").kill()
    began = time.monotonic()
    quiet(fleet)
    assert time.monotonic() - began < LEASE_S + 10
    assert attempt(fleet, run) == 2
    nodes = [line["node"] for line in invariants.traced(fleet.traces)]
    assert nodes == ["first", "second", "second", "third"]
    whole(fleet, promised=[run])


@pytest.mark.long
def test_kill_of_every_worker_at_once(start_fleet: Start) -> None:
    fleet = start_fleet()
    threads = threads_of(fleet, 6)
    with fleet.client() as client:
        runs = [ask(client, thread, each=0.8) for thread in threads]
    begun(fleet, runs[0])
    for worker in fleet.workers:
        worker.kill()
    for worker in fleet.workers:
        worker.start()
    quiet(fleet)
    whole(fleet, promised=runs)


def test_kill_of_the_server(start_fleet: Start) -> None:
    """Runs of the workers notice nothing; a client comes back and reads what it missed."""
    fleet = start_fleet()
    (thread,) = threads_of(fleet, 1)
    body = {"assistant_id": "work", "input": {"each": 1.0}, "stream_mode": "custom", "stream_resumable": True}
    heard: list[str] = []
    address, last = read_until_the_end_of_the_server(fleet, thread, body, heard)
    assert heard == ["first"]
    fleet.server.start()
    with fleet.client() as client, client.stream("GET", address, headers={"last-event-id": last}) as answer:
        heard += [json.loads(line[6:])["node"] for line in answer.iter_lines() if line.startswith("data: ")]
    assert heard == ["first", "second", "third"]
    quiet(fleet)
    (run,) = rows(fleet.database_url, "SELECT id, attempt FROM runs")
    assert run.attempt == 1
    whole(fleet, promised=[run.id])


def read_until_the_end_of_the_server(fleet: Fleet, thread: str, body: object, heard: list[str]) -> tuple[str, str]:
    """Kill the server once the first event is here; where to go on, and from which event."""
    address = last = ""
    post = f"/threads/{thread}/runs/stream"
    with suppress(httpx.HTTPError), fleet.client() as client, client.stream("POST", post, json=body) as answer:
        address = answer.headers["location"]
        for line in answer.iter_lines():
            last = line[4:] if line.startswith("id: ") else last
            if line.startswith("data: ") and "node" in line:
                heard.append(json.loads(line[6:])["node"])
            if heard and not line:  # the frame is complete, its id included
                fleet.server.kill()
    return address, last


def test_kill_of_a_server_that_executes(start_fleet: Start) -> None:
    fleet = start_fleet(workers=0, executes=True)
    threads = threads_of(fleet, 4)
    with fleet.client() as client:
        runs = [ask(client, thread, each=0.8) for thread in threads for _ in range(2)]
    begun(fleet, runs[0], "second")
    fleet.server.kill()
    fleet.server.start()
    quiet(fleet)
    assert {attempt(fleet, run) for run in runs} <= {1, 2}
    whole(fleet, promised=runs)


def test_kill_of_redis(start_fleet: Start) -> None:
    """Without it runs are found by the sweeper and read from the database; with it again, they are fast again."""
    fleet = start_fleet()
    threads = threads_of(fleet, 4)
    fleet.broker.kill()
    with fleet.client() as client:
        runs = [ask(client, thread) for thread in threads]
        stream = {"assistant_id": "work", "input": {"each": 0.1}, "stream_mode": "custom"}
        answer = client.post(f"/threads/{threads[0]}/runs/stream", json=stream)
        assert answer.text.count("event: custom") == 3, "an event was lost"
    quiet(fleet)
    fleet.broker.start()
    until(lambda: broker_answers(fleet.broker), "Redis")
    with fleet.client() as client:
        runs += [ask(client, thread) for thread in threads]
    quiet(fleet)
    assert {attempt(fleet, run) for run in runs} == {1}
    whole(fleet, promised=runs)


def test_a_worker_that_sleeps_past_its_lease(start_fleet: Start) -> None:
    """It wakes up in the middle of a node, its run has been finished by another, and it writes nothing any more."""
    fleet = start_fleet()
    (thread,) = threads_of(fleet, 1)
    with fleet.client() as client:
        run = ask(client, thread, each=1.0)
    sleeper = holder(fleet, run, "second")
    fleet.paused.add(sleeper.pid)
    sleeper.pause()
    quiet(fleet)
    assert attempt(fleet, run) == 2
    before = written(fleet)
    sleeper.wake()
    time.sleep(3)
    assert written(fleet) == before, "it wrote after it had lost its lease"
    whole(fleet, promised=[run])
    with fleet.client() as client:
        again = [ask(client, thread) for _ in range(4)]
    quiet(fleet)
    whole(fleet, promised=[run, *again])


def written(fleet: Fleet) -> list[int]:
    """How many rows of each table a worker writes to there are."""
    tables = ("run_events", "checkpoints", "checkpoint_writes", "checkpoint_blobs")
    queries = (f"SELECT count(*) AS n FROM {table}" for table in tables)  # noqa: S608 - names of ours
    return [rows(fleet.database_url, query)[0].n for query in queries]


@pytest.mark.parametrize("reset", [pytest.param(False, marks=pytest.mark.long), True], ids=["silence", "reset"])
def test_a_cut_to_postgres(start_fleet: Start, reset: bool) -> None:
    fleet = start_fleet()
    threads = threads_of(fleet, 4)
    with fleet.client() as client:
        runs = [ask(client, thread, each=0.7) for thread in threads]
    begun(fleet, runs[0])
    fleet.proxy.cut(reset=reset)
    time.sleep(LEASE_S + 2)
    fleet.proxy.mend()
    quiet(fleet, seconds=90)
    whole(fleet, promised=runs)


@pytest.mark.long
def test_postgres_ends_every_session(start_fleet: Start) -> None:
    fleet = start_fleet()
    threads = threads_of(fleet, 4)
    with fleet.client() as client:
        runs = [ask(client, thread, each=0.7) for thread in threads]
    begun(fleet, runs[0])
    for _ in range(5):
        fleet.disconnect_everybody()
        time.sleep(0.3)
    quiet(fleet)
    whole(fleet, promised=runs)


def test_sigterm_gives_runs_back(start_fleet: Start) -> None:
    """A worker that is asked to end hands over at a checkpoint: nobody waits for a lease, nothing is done twice."""
    fleet = start_fleet()
    (thread,) = threads_of(fleet, 1)
    with fleet.client() as client:
        run = ask(client, thread, each=1.0)
    worker = holder(fleet, run)
    assert worker.process
    worker.process.terminate()
    ended = threading.Thread(target=worker.process.wait)
    ended.start()
    quiet(fleet)
    ended.join(30)
    assert worker.process.returncode == 0
    nodes = [line["node"] for line in invariants.traced(fleet.traces)]
    assert nodes == ["first", "second", "third"]
    whole(fleet, promised=[run])
