"""A soak: several threads at work, the service killed at random, everything approved. Not a test that pytest collects.

    python -m tests.e2e.soak [--seconds 60] [--seed 0] [--database sqlite|postgres] [--threads 6]

At the end every run must have ended exactly once, no row be stuck, every log be gapless, every effect be counted right.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support import postgres
from tests.support.kills import TERMINAL, Patient, call, check_order, check_rows, rows, story
from tests.support.repos import make_repo
from tests.support.service import Service, replay, scripted_server

STUCK = "SELECT id, status, attempt, owner FROM runs WHERE status IN ('pending', 'running')"
INTERRUPTED = "interrupted, its effect is unknown"


def script(path: Path, names: list[str]) -> Path:
    """For each worker a command, an edit and a talk."""
    replies: list[object] = []
    for name in names:
        append = call("execute_command", command=f"echo ran >> {name}.log")
        edit = call("write_file", path=f"{name}.txt", content=f"{name}\n")
        replies += story(f"append {name}", append, "Appended.", delay_s=0.01)
        replies += story(f"write {name}", edit, "Written.", delay_s=0.01)
    replies.append({"text": "This is said slowly, word by word, to the end.", "delay_s": 0.03})
    path.write_text(json.dumps({"name": "soak", "replies": replies}), "utf-8")
    return path


class Worker(threading.Thread):
    """A person who says something, approves everything, waits, and says the next thing."""

    def __init__(self, service: Service, name: str, until: float, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.patient = Patient(service, service.workspace)
        self.ends, self.random = until, random.Random(f"{seed}{name}")  # noqa: S311 - a game of chance
        self.appends, self.slowest, self.failure = 0, 0.0, ""

    def run(self) -> None:
        try:
            while time.monotonic() < self.ends:
                words = self.random.choice([f"append {self.name}", f"write {self.name}", "talk"])
                started = time.monotonic()
                if self.turn(words):
                    self.appends += words.startswith("append")
                    self.slowest = max(self.slowest, time.monotonic() - started)
        except AssertionError as exc:
            self.failure = str(exc)

    def turn(self, words: str) -> bool:
        """One turn, whatever happens to the service meanwhile; False when the message may not have arrived."""
        arrived = self.said(words)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                for approval in self.patient.pending():
                    self.patient.decide(approval)
                runs = self.patient.runs()
                if not self.patient.pending() and all(run["status"] in TERMINAL for run in runs):
                    return arrived
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"{self.name}: {words!r} did not end")

    def said(self, words: str) -> bool:
        while True:
            try:
                if self.patient.thread_id:
                    self.patient.go_on(words)
                else:
                    self.patient.say(words)
            except httpx.ConnectError:
                time.sleep(0.05)
            except httpx.HTTPError:
                if self.patient.thread_id:
                    return False
            else:
                return True


def torment(service: Service, seconds: float, chance: random.Random) -> int:
    """Kill and start again until time is up; how often."""
    ends, kills = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        time.sleep(chance.uniform(0.2, 4))
        service.kill()
        service.start()
        kills += 1
    return kills


@contextmanager
def database(kind: str, home: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{home / 'codelab.db'}"
        return
    with postgres.running_postgres() as server:
        url = server.url(server.create())
        postgres.migrate(url)
        yield url


def verify(service: Service, workers: list[Worker]) -> list[str]:
    """What is wrong at the end."""
    wrong = [worker.failure for worker in workers if worker.failure]
    wrong += [f"stuck: {row}" for row in rows(str(service.database_url), STUCK)]
    for worker in workers:
        patient = worker.patient
        try:
            check_rows(str(service.database_url), patient.thread_id)
            with service.client() as client:
                check_order([event for _, event in replay(client, patient.thread_id)])
            effects(worker)
        except AssertionError as exc:
            wrong.append(f"{worker.name}: {exc}")
    return wrong


def effects(worker: Worker) -> None:
    """Each approved command ran once; one that was interrupted ran once or not at all."""
    with worker.patient.service.client() as client:
        messages = client.get(f"/api/v1/threads/{worker.patient.thread_id}/messages").json()
    results = [m["content"] for m in messages if m["role"] == "tool" and m["name"] == "execute_command"]
    unsure = sum(INTERRUPTED in content for content in results)
    marker = worker.patient.folder / f"{worker.name}.log"
    ran = len(marker.read_text("utf-8").splitlines()) if marker.exists() else 0
    assert len(results) >= worker.appends, f"{worker.appends} commands were asked for, {len(results)} answered"
    assert len(results) - unsure <= ran <= len(results), f"ran {ran} times; {len(results)} results, {unsure} unsure"


def soak(kind: str, seconds: float, seed: int, count: int) -> int:
    names = [f"worker{n}" for n in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "data").mkdir()
        (home / "repo").mkdir()
        repo = make_repo(home / "repo", {"README.md": "soak\n"})
        with database(kind, home) as url, scripted_server(script(home / "soak.json", names)) as model:
            service = Service(repo, home / "data", url, model)
            service.start()
            ends = time.monotonic() + seconds
            workers = [Worker(service, name, ends, seed) for name in names]
            for worker in workers:
                worker.start()
            kills = torment(service, seconds, random.Random(seed))  # noqa: S311 - a game of chance
            for worker in workers:
                worker.join(90)
            wrong = verify(service, workers)
            runs = rows(url, "SELECT count(*) AS n, max(attempt) AS most FROM runs")[0]
            log = (home / "serve.log").read_text("utf-8", "replace")
            service.kill()
    said = [line for line in log.splitlines() if line.startswith("{")]
    slowest = max(worker.slowest for worker in workers)
    report = f"{kind} seed {seed}: {kills} kills, {runs.n} runs, {runs.most} attempts at most, slowest {slowest:.1f} s"
    sys.stdout.write("\n".join([report, *wrong, *(said[-20:] if wrong else said[-5:])]) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=6)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    given = parser.parse_args()
    sys.exit(soak(given.database, given.seconds, given.seed, given.threads))
