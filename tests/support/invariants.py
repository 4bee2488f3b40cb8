"""What must be true after any storm, read from the database and from the traces that the graph left outside of it.

A foreign graph has no journal: what a node does outside is done at least once, because a process may die between the
doing and the checkpoint that remembers it. What must hold all the same:

- **ends once**: every run is at rest, and its log holds exactly one `run.finished`;
- **remembered once**: the thread's state, built by a reducer that only appends, holds each node of each successful run
  exactly once and in order; a second execution to the end, or a stale worker's write, would show here;
- **never back**: a node begins again only if no later node of its run has begun before, because what comes later begins
  only after the checkpoint of what came before is committed. Processes that were paused are excepted: one may wake
  between a checkpoint and the next node, begin that node, and find out at its first write that it lost the lease;
- **paid for**: a node begins at most as often as its run was delivered;
- **gapless**: `seq` counts 1..`last_seq`, `attempt` never falls within a run;
- **free**: no thread is busy.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from .chaos_graphs.work import NODES
from .kills import rows

TERMINAL = {"success", "error", "timeout", "interrupted"}


def ends_once(url: str) -> None:
    """Every run is at rest and has exactly one `run.finished`."""
    runs = {row.id: row.status for row in rows(url, "SELECT id, status FROM runs")}
    assert set(runs.values()) <= TERMINAL, f"not at rest: {Counter(runs.values())}"
    ended = Counter(row.run_id for row in rows(url, "SELECT run_id FROM run_events WHERE type = 'run.finished'"))
    assert ended == Counter(runs.keys()), {run: ended[run] for run in {*runs, *ended} if ended[run] != 1}


def free(url: str) -> None:
    """No thread is busy; no run holds a thread."""
    assert rows(url, "SELECT id, status FROM threads WHERE status = 'busy'") == []
    assert rows(url, "SELECT id FROM runs WHERE status = 'running'") == []


def gapless(url: str) -> None:
    """`seq` has no gaps, and the attempts of a run never fall."""
    seqs: dict[str, list[int]] = defaultdict(list)
    attempts: dict[str, list[int]] = defaultdict(list)
    for row in rows(url, "SELECT thread_id, seq, run_id, attempt FROM run_events ORDER BY thread_id, seq"):
        seqs[row.thread_id].append(row.seq)
        attempts[row.run_id].append(row.attempt)
    for row in rows(url, "SELECT id, last_seq FROM threads"):
        assert seqs[row.id] == list(range(1, row.last_seq + 1)), f"a gap in the log of {row.id}"
    fallen = {run: seen for run, seen in attempts.items() if run and seen != sorted(seen)}
    assert not fallen, f"an older delivery wrote after a newer one: {fallen}"


def remembered_once(url: str, states: dict[str, list[str]]) -> None:
    """Each successful run's nodes stand in its thread's state once and in order; `states` is `done` by thread."""
    for thread, done in states.items():
        query = "SELECT id FROM runs WHERE thread_id = :t AND status = 'success' ORDER BY started_at, created_at"
        good = [row.id for row in rows(url, query, t=thread)]
        wanted = Counter(f"{run} {node}" for run in good for node in NODES)
        assert Counter(done) == wanted, (
            f"{thread}: {Counter(done) - wanted} too often, {wanted - Counter(done)} missing"
        )
        for run in good:
            assert [entry for entry in done if entry.startswith(run)] == [f"{run} {node}" for node in NODES]


def traced(path: Path) -> list[dict[str, Any]]:
    """The traces, in the order of time."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return sorted((json.loads(line) for line in lines), key=lambda line: float(line["at"]))


def never_back(traces: list[dict[str, Any]], paused: Collection[int]) -> None:
    """No node begins after a later one of its run has begun, but in a process that was paused."""
    furthest: dict[str, int] = {}
    for line in traces:
        if line["pid"] in paused:
            continue
        place = NODES.index(line["node"])
        assert place >= furthest.get(line["run"], 0), f"{line} began again after {NODES[furthest[line['run']]]}"
        furthest[line["run"]] = place


def paid_for(url: str, traces: list[dict[str, Any]]) -> None:
    """A node begins at most once per delivery."""
    attempts = {row.id: row.attempt for row in rows(url, "SELECT id, attempt FROM runs")}
    for (run, node), times in Counter((line["run"], line["node"]) for line in traces).items():
        assert times <= attempts[run], f"{run} {node} began {times} times in {attempts[run]} deliveries"
