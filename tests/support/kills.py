"""A service under kill -9: the story it is killed in, and what must be true of its database and log afterwards."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import create_engine, text

from .service import Event, Service, parse_sse, replay, until

TERMINAL = {"success", "error", "timeout", "interrupted"}
SLEEPERS = ("71771771", "71771772", "71771773")
LONG = " ".join(f"word{n}" for n in range(100))


def call(tool: str, **args: Any) -> dict[str, Any]:
    return {"name": tool, "args": args}


def story(human: str, first: dict[str, Any], then: str, **pace: Any) -> list[dict[str, Any]]:
    """One call, then a text that ends the turn."""
    return [
        {"when": {"human": human, "called": first["name"]}, "text": then},
        {"when": {"human": human}, "text": f"I begin to {human}.", "tool_calls": [first], **pace},
    ]


def write_script(path: Path) -> Path:
    """Every story that the tests tell, chosen by a word of the person."""
    tree = f"echo ran >> ran.log; setsid sleep {SLEEPERS[0]} & (sleep {SLEEPERS[1]} &) ; sleep {SLEEPERS[2]}"
    edits = [{"old": "one", "new": "one two"}]
    replies = [
        {"when": {"structured": True}, "structured": {"agent": "coder", "confidence": 0.9, "reason": "work"}},
        {"when": {"human": "talk"}, "text": "This is said slowly, word by word, to the end.", "delay_s": 0.05},
        {"when": {"human": "lecture"}, "text": LONG, "delay_s": 0.05},
        {"when": {"human": "sermon"}, "text": LONG, "delay_s": 0.5},
        *story("edit", call("edit_file", path="notes.txt", edits=edits), "The file is edited.", delay_s=0.02),
        *story("append", call("execute_command", command="echo ran >> ran.log"), "The line is appended."),
        *story("tree", call("execute_command", command=tree), "The tree was felled."),
        {"when": {"human": "hand", "agent": "You are Debug"}, "text": "Debug has it now, slowly.", "delay_s": 0.05},
        {"when": {"human": "hand"}, "text": "Over.", "tool_calls": [call("switch_agent", agent="debug", reason="bug")]},
        {"when": {"human": "both", "called": "execute_command"}, "text": "Both are done."},
        {
            "when": {"human": "both"},
            "tool_calls": [
                call("edit_file", path="notes.txt", edits=edits),
                call("execute_command", command="echo ran >> ran.log"),
            ],
        },
    ]
    path.write_text(json.dumps({"name": "kills", "replies": replies}), "utf-8")
    return path


def sleepers() -> list[str]:
    """The command lines of what the story's process tree left behind."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if len(line) > 1 and line[0].endswith(b"sleep") and line[1].decode() in SLEEPERS:
            found.append(line[1].decode())
    return found


@dataclass
class Patient:
    """One thread of a service that will be killed."""

    service: Service
    folder: Path
    thread_id: str = ""
    decided: list[str] = field(default_factory=list)

    @property
    def ran(self) -> int:
        """How often the appending command really ran."""
        marker = self.folder / "ran.log"
        return len(marker.read_text("utf-8").splitlines()) if marker.exists() else 0

    @property
    def notes(self) -> str:
        return (self.folder / "notes.txt").read_text("utf-8")

    def reset(self) -> None:
        """Make the folder as it was."""
        (self.folder / "notes.txt").write_text("one\n", "utf-8")
        (self.folder / "ran.log").unlink(missing_ok=True)

    def say(self, words: str, **fields: Any) -> str:
        """Begin a thread and a run; the run's id."""
        with self.service.client() as client:
            (workspace,) = client.get("/api/v1/workspaces").json()
            self.thread_id = client.post("/api/v1/threads", json={"workspace_id": workspace["id"]}).json()["id"]
        return self.go_on(words, **fields)

    def go_on(self, words: str, **fields: Any) -> str:
        """Begin a run in the same thread."""
        with self.service.client() as client:
            body = {"text": words, "agent": "coder", **fields}
            started = client.post(f"/api/v1/threads/{self.thread_id}/runs", json=body)
            assert started.status_code == 202, started.text
            return str(started.json()["id"])

    def restart(self) -> None:
        self.service.kill()
        self.service.start()

    def see(self, wanted: Callable[[Event], bool]) -> None:
        """Follow the live stream until an event is as wanted."""
        with self.service.client() as client:
            url = f"/api/v1/threads/{self.thread_id}/events"
            with client.stream("GET", url, timeout=30) as response:
                assert any(wanted(event) for _, event in parse_sse(response.iter_lines()))

    def pending(self) -> list[dict[str, Any]]:
        with self.service.client() as client:
            query = {"status": "pending", "thread_id": self.thread_id}
            return list(client.get("/api/v1/approvals", params=query).json())

    def approval(self) -> dict[str, Any]:
        return dict(until(self.pending, "an approval")[0])

    def decide(self, approval: dict[str, Any], decision: str = "approve", **fields: Any) -> httpx.Response:
        with self.service.client() as client:
            return client.post(f"/api/v1/approvals/{approval['id']}", json={"decision": decision, **fields})

    def runs(self) -> list[dict[str, Any]]:
        with self.service.client() as client:
            return list(client.get(f"/api/v1/threads/{self.thread_id}/runs").json())

    def rest(self, *, seconds: float = 30) -> dict[str, Any]:
        """Approve whatever is asked until the turn is over; its last run."""

        def over() -> dict[str, Any] | None:
            for approval in self.pending():
                assert self.decide(approval).status_code == 200
            newest = self.runs()[0]
            waits = newest["status"] == "interrupted" and newest.get("reason") == "approval"
            return newest if newest["status"] in TERMINAL and not waits else None

        return dict(until(over, "the turn to end", seconds=seconds))

    def cancel(self) -> dict[str, Any]:
        """Stop the newest run; how it ended."""
        with self.service.client() as client:
            url = f"/api/v1/threads/{self.thread_id}/runs/{self.runs()[0]['id']}/cancel"
            assert client.post(url).is_success
        return dict(until(lambda: [r for r in self.runs()[:1] if r["status"] in TERMINAL], "the run to stop")[0])

    def told(self) -> tuple[list[Any], list[Any]]:
        """Messages and approvals, without what differs between two tellings of one story."""
        with self.service.client() as client:
            messages = client.get(f"/api/v1/threads/{self.thread_id}/messages").json()
            approvals = client.get("/api/v1/approvals", params={"thread_id": self.thread_id}).json()
        plain = [
            (m["role"], _timeless(m["content"]), [(c["name"], c["arguments"]) for c in m["tool_calls"]])
            for m in messages
        ]
        return plain, [(a["tool"], a["status"], a["arguments"]) for a in approvals]

    def check(self) -> list[Event]:
        """Database, log and stream are whole; the replayed events."""
        check_rows(str(self.service.database_url), self.thread_id)
        with self.service.client() as client:
            whole = replay(client, self.thread_id)
            check_suffixes(client, self.thread_id, whole)
        events = [event for _, event in whole]
        check_order(events)
        return events


def _timeless(content: str) -> str:
    """Without durations, and only the summary: a call that was found to be done says no more."""
    return re.sub(r"\d+(\.\d+)? ?m?s\b", "# s", content).partition("\nreplaced at")[0]


def rows(url: str, query: str, **values: Any) -> list[Any]:
    """Read the service's database beside it."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.connect() as connection:
            return list(connection.execute(text(query), values))
    finally:
        engine.dispose()


def await_row(url: str, query: str, **values: Any) -> None:
    """Wait until a query finds something, on one connection: what is waited for lasts a millisecond."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            soon(lambda: connection.execute(text(query), values).first())
    finally:
        engine.dispose()


def check_rows(url: str, thread_id: str) -> None:
    """No gap in the log, every run ended once, nothing left open."""
    seqs = [row.seq for row in rows(url, "SELECT seq FROM run_events WHERE thread_id = :t ORDER BY seq", t=thread_id)]
    (thread,) = rows(url, "SELECT last_seq, status FROM threads WHERE id = :t", t=thread_id)
    assert seqs == list(range(1, thread.last_seq + 1)), "a gap in the log"
    ended = rows(url, "SELECT run_id FROM run_events WHERE thread_id = :t AND type = 'run.finished'", t=thread_id)
    runs = rows(url, "SELECT id, status FROM runs WHERE thread_id = :t", t=thread_id)
    assert {row.status for row in runs} <= TERMINAL
    assert sorted(row.run_id for row in ended) == sorted(row.id for row in runs), "a run ended not exactly once"
    assert rows(url, "SELECT id FROM approvals WHERE thread_id = :t AND status = 'pending'", t=thread_id) == []
    assert thread.status == "idle"
    half = "SELECT tool_call_id FROM tool_executions WHERE thread_id = :t AND state <> 'finished'"
    assert rows(url, half, t=thread_id) == [], "a tool call was begun and never answered for"


def check_suffixes(client: httpx.Client, thread_id: str, whole: list[tuple[str, Event]]) -> None:
    """Replaying from k is the suffix, for every k, hidden records included."""
    epoch = whole[0][0].rpartition(":")[0]
    numbers = [int(event_id.rpartition(":")[2]) for event_id, _ in whole]
    assert numbers == sorted(set(numbers))
    for k in range(numbers[-1] + 1):
        wanted = [pair for pair, number in zip(whole, numbers, strict=True) if number > k]
        assert replay(client, thread_id, after=f"{epoch}:{k}") == wanted, k


class _Order:
    """The rules of an AG-UI stream, as a reader of the whole thread sees it."""

    def __init__(self) -> None:
        self.run: str | None = None
        self.open: dict[str, set[str]] = {"text": set(), "call": set(), "step": set()}
        self.ended: dict[str, Counter[str]] = {"text": Counter(), "call": Counter(), "step": Counter()}
        self.results: Counter[str] = Counter()

    def begin(self, kind: str, name: str) -> None:
        assert self.run, "outside of a run"
        assert name not in self.open[kind], f"{kind} {name} begins twice"
        assert kind == "step" or not self.ended[kind][name], f"{kind} {name} begins again"
        self.open[kind].add(name)

    def inside(self, kind: str, name: str) -> None:
        assert name in self.open[kind], f"{kind} {name} is not open"

    def end(self, kind: str, name: str) -> None:
        self.inside(kind, name)
        self.open[kind].remove(name)
        self.ended[kind][name] += 1

    def run_started(self, event: Event) -> None:
        assert self.run is None, "a run begins within another"
        self.run = event["runId"]

    def run_ended(self, event: Event) -> None:
        assert self.run == event.get("runId", self.run)
        assert not any(self.open.values()), f"left open: {self.open}"
        self.run = None

    def result(self, event: Event) -> None:
        self.results[event["toolCallId"]] += 1
        assert self.ended["call"][event["toolCallId"]] == 1, "a result without its call"


def check_order(events: list[Event]) -> None:
    """Starts before contents before ends, each message and result once, nothing open at the end of a run."""
    order = _Order()
    rules: dict[str, Callable[[Event], None]] = {
        "RUN_STARTED": order.run_started,
        "RUN_FINISHED": order.run_ended,
        "RUN_ERROR": order.run_ended,
        "TEXT_MESSAGE_START": lambda e: order.begin("text", e["messageId"]),
        "TEXT_MESSAGE_CONTENT": lambda e: order.inside("text", e["messageId"]),
        "TEXT_MESSAGE_END": lambda e: order.end("text", e["messageId"]),
        "TOOL_CALL_START": lambda e: order.begin("call", e["toolCallId"]),
        "TOOL_CALL_ARGS": lambda e: order.inside("call", e["toolCallId"]),
        "TOOL_CALL_END": lambda e: order.end("call", e["toolCallId"]),
        "TOOL_CALL_RESULT": order.result,
        "STEP_STARTED": lambda e: order.begin("step", e["stepName"]),
        "STEP_FINISHED": lambda e: order.end("step", e["stepName"]),
    }
    for event in events:
        rules.get(event["type"], lambda _: None)(event)
    assert order.run is None, "the last run has no end"
    assert set(order.results.values()) <= {1}, "a result twice"
    assert set(order.results) == set(order.ended["call"]), "a call without a result"


def soon(check: Callable[[], Any], *, seconds: float = 20) -> None:
    """Wait, looking all the time: what is waited for lasts a millisecond."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.0003)


def texts(events: list[Event]) -> Iterator[str]:
    """What was said, message by message."""
    said: dict[str, str] = {}
    for event in events:
        if event["type"] == "TEXT_MESSAGE_CONTENT":
            said[event["messageId"]] = said.get(event["messageId"], "") + event["delta"]
    yield from said.values()
