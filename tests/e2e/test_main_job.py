"""The main job on real input: a real repository, a real socket to the model, and a service that is killed twice.

The user reports a failing test; debug finds the cause and hands over; coder fixes it under approval, runs the tests and
commits on a branch. `kill -9` strikes while an approval is pending and while a command runs.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.repos import git
from tests.support.service import Event, Service, replay, run_to_rest, scripted_server, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

TASK = "The test test_mean fails. Find out why, fix it and commit the fix on a branch."
SCRIPT = Path(__file__).parent / "main_job.yaml"


@pytest.fixture
def model_url(tmp_path: Path) -> Iterator[str]:
    script = tmp_path / "main_job.yaml"
    script.write_text(SCRIPT.read_text("utf-8").replace("python -m pytest", f"{sys.executable} -m pytest"), "utf-8")
    with scripted_server(script) as url:
        yield url


@pytest.fixture
def service(tmp_path: Path, git_repo: Path, database_url: str, model_url: str) -> Iterator[Service]:
    running = Service(git_repo, tmp_path / "data", database_url, model_url)
    (tmp_path / "data").mkdir()
    running.start()
    yield running
    running.kill()


def begin(client: httpx.Client, **fields: Any) -> tuple[str, str]:
    (workspace,) = client.get("/api/v1/workspaces").json()
    thread = client.post("/api/v1/threads", json={"workspace_id": workspace["id"]}).json()
    started = client.post(f"/api/v1/threads/{thread['id']}/runs", json={"text": TASK, **fields})
    assert started.status_code == 202, started.text
    return thread["id"], started.json()["id"]


def pending(client: httpx.Client, thread_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(
        "/api/v1/approvals", params={"status": "pending", "thread_id": thread_id}
    ).json()
    return found


def decide(client: httpx.Client, approval: dict[str, Any], decision: str = "approve", **fields: Any) -> dict[str, Any]:
    answer = client.post(f"/api/v1/approvals/{approval['id']}", json={"decision": decision, **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def next_approval(client: httpx.Client, thread_id: str, tool: str) -> dict[str, Any]:
    waiting = until(lambda: pending(client, thread_id), f"an approval of {tool}")
    assert [approval["tool"] for approval in waiting] == [tool]
    return dict(waiting[0])


def newest_run(client: httpx.Client, thread_id: str) -> dict[str, Any]:
    return dict(client.get(f"/api/v1/threads/{thread_id}/runs").json()[0])


def rested(client: httpx.Client, thread_id: str) -> dict[str, Any]:
    """The newest run, once it is neither pending nor running."""

    def resting() -> dict[str, Any] | None:
        run = newest_run(client, thread_id)
        return None if run["status"] in {"pending", "running"} else run

    return dict(until(resting, "the run to come to rest"))


def assert_each_once(events: list[Event]) -> None:
    """Each completed message and each tool result stands in the replayed stream once."""
    results = Counter(e["toolCallId"] for e in events if e["type"] == "TOOL_CALL_RESULT")
    ends = Counter(e["messageId"] for e in events if e["type"] == "TEXT_MESSAGE_END")
    assert set(results.values()) == {1}
    assert set(ends.values()) == {1}
    texts: dict[str, str] = {}
    for event in events:
        if event["type"] == "TEXT_MESSAGE_CONTENT":
            texts[event["messageId"]] = texts.get(event["messageId"], "") + event["delta"]
    assert len(set(texts.values())) == len(texts), "a text was told twice"


def assert_job_done(client: httpx.Client, repo: Path, thread_id: str) -> None:
    assert git(repo, "branch", "--show-current") == "fix-mean"
    assert git(repo, "log", "--format=%s") == "Divide the mean by the number of values\nBegin"
    assert "len(numbers)  # the edit of a person" in (repo / "calc/stats.py").read_text("utf-8")
    assert git(repo, "status", "--porcelain") == ""
    messages = client.get(f"/api/v1/threads/{thread_id}/messages").json()
    calls = [call["name"] for m in messages for call in m["tool_calls"]]
    assert calls == [
        "read_file", "execute_command", "switch_agent", "edit_file", "execute_command", "git_branch", "git_branch",
        "git_commit",
    ]  # fmt: skip
    results = [m for m in messages if m["role"] == "tool"]
    assert len(results) == len(calls) == len({m["tool_call_id"] for m in results})
    assert messages[-1]["content"].startswith("Fixed:")
    statuses = [a["status"] for a in client.get("/api/v1/approvals", params={"thread_id": thread_id}).json()]
    assert statuses == ["edited", "edited", "approved", "approved", "approved", "approved"]


def edited_arguments(approval: dict[str, Any]) -> dict[str, Any]:
    (edit,) = approval["arguments"]["edits"]
    return {**approval["arguments"], "edits": [{**edit, "new": edit["new"] + "  # the edit of a person"}]}


def test_the_whole_job_survives_two_kills(service: Service, git_repo: Path) -> None:
    with service.client() as client:
        thread_id, run_id = begin(client)
        events = run_to_rest(client, thread_id, run_id)
        assert events[-1]["outcome"]["type"] == "interrupt"
        switched = [e["value"] for e in events if e.get("name") == "agent_switched"]
        assert [s["target"] for s in switched] == ["debug"]
        first = next_approval(client, thread_id, "execute_command")
        assert first["preview"]["kind"] == "command"

        service.kill()  # an approval is pending
        service.start()

        assert next_approval(client, thread_id, "execute_command")["id"] == first["id"]
        # The command of debug: killed while it runs, below. Make it slow enough to be caught in the act.
        slow = f"echo ran >> {git_repo}/runs.log; sleep 3; {sys.executable} -m pytest -q"
        decide(client, first, "edit", arguments={"command": slow})
        marker = git_repo / "runs.log"
        until(marker.exists, "the command to start")

        service.kill()  # a tool runs
        service.start()

        edit = next_approval_after_interruption(client, thread_id, marker)
        assert edit["preview"]["kind"] == "diff"
        assert "+    return total(numbers) / len(numbers)" in edit["preview"]["diff"]
        decide(client, edit, "edit", arguments=edited_arguments(edit))
        for tool in ("execute_command", "git_branch", "git_branch", "git_commit"):
            decide(client, next_approval(client, thread_id, tool))
        assert rested(client, thread_id)["status"] == "success"
        marker.unlink()
        assert_job_done(client, git_repo, thread_id)
        events = [event for _, event in replay(client, thread_id)]
        assert_each_once(events)
        assert [e["value"]["target"] for e in events if e.get("name") == "agent_switched"] == ["debug", "coder"]


def next_approval_after_interruption(client: httpx.Client, thread_id: str, marker: Path) -> dict[str, Any]:
    """The killed command was not run again by itself; its model was told, and goes on by the script."""
    waiting = until(lambda: pending(client, thread_id), "the next approval")
    assert marker.read_text("utf-8") == "ran\n"
    messages = client.get(f"/api/v1/threads/{thread_id}/messages").json()
    (result,) = [m for m in messages if m["role"] == "tool" and m["name"] == "execute_command"]
    assert "interrupted" in result["content"].lower()
    assert [approval["tool"] for approval in waiting] == ["edit_file"]
    return dict(waiting[0])


def test_replay_is_the_suffix_for_every_event(service: Service, git_repo: Path) -> None:
    with service.client() as client:
        thread_id, run_id = begin(client)
        run_to_rest(client, thread_id, run_id)
        whole = replay(client, thread_id)
        assert len({event_id for event_id, _ in whole}) == len(whole)
        for position in range(0, len(whole), 5):
            assert replay(client, thread_id, after=whole[position][0]) == whole[position + 1 :]
        assert git(git_repo, "status", "--porcelain") == ""


def test_rejecting_with_feedback_makes_the_agent_try_another_way(service: Service, git_repo: Path) -> None:
    with service.client() as client:
        thread_id, _ = begin(client)
        decide(client, next_approval(client, thread_id, "execute_command"))
        first = next_approval(client, thread_id, "edit_file")
        decide(client, first, "reject", message="also guard the empty list")
        second = next_approval(client, thread_id, "edit_file")
        assert "if numbers else 0" in second["preview"]["diff"]
        decide(client, second)
        until(lambda: "if numbers else 0" in (git_repo / "calc/stats.py").read_text("utf-8"), "the edit")


def test_wrong_requests_get_a_clear_error_and_change_nothing(service: Service, git_repo: Path) -> None:
    before = git(git_repo, "rev-parse", "HEAD")
    with service.client() as client:
        (workspace,) = client.get("/api/v1/workspaces").json()
        thread = client.post("/api/v1/threads", json={"workspace_id": workspace["id"]}).json()
        runs = f"/api/v1/threads/{thread['id']}/runs"
        unknown = client.post(runs, json={"text": "x", "agent": "nobody"})
        assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_agent")
        assert client.get(runs).json() == []

        thread_id, run_id = begin(client)
        run_to_rest(client, thread_id, run_id)
        command = next_approval(client, thread_id, "execute_command")
        outside = client.post(f"/api/v1/approvals/{command['id']}", json={"decision": "edit"})
        assert outside.status_code == 422
        decide(client, command, "edit", arguments={"command": "sudo reboot"})
        edit = next_approval_or_text(client, thread_id)
        assert "Refused" in edit
        again = client.post(f"/api/v1/approvals/{command['id']}", json={"decision": "approve"})
        assert (again.status_code, again.json()["code"]) == (409, "approval_already_decided")
        same = decide(client, command, "edit", arguments={"command": "sudo reboot"})
        assert same["replayed"] is True
    assert git(git_repo, "rev-parse", "HEAD") == before
    assert git(git_repo, "status", "--porcelain") == ""


def next_approval_or_text(client: httpx.Client, thread_id: str) -> str:
    """What the model was told about the command."""

    def told() -> str | None:
        messages = client.get(f"/api/v1/threads/{thread_id}/messages").json()
        results = [m["content"] for m in messages if m["role"] == "tool" and m["name"] == "execute_command"]
        return results[0] if results else None

    return str(until(told, "the result of the command"))
