"""Our API on the real runtime: threads, runs, approvals, events, changes; clear refusals; nobody sees another's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from codelab.core.types import ApprovalMode
from codelab.llm.scripted import ScriptedChatModel
from tests.support.repos import git


async def until(check: Any, what: str) -> Any:
    for _ in range(400):
        if found := await check():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"timed out waiting for {what}")


async def new_thread(client: httpx.AsyncClient, repo: Any, **headers: str) -> str:
    made = await client.post("/api/v1/workspaces", json={"path": str(repo)}, headers=headers)
    assert made.status_code == 201, made.text
    thread = await client.post("/api/v1/threads", json={"workspace_id": made.json()["id"]}, headers=headers)
    assert thread.status_code == 201, thread.text
    assert thread.headers["location"] == f"/api/v1/threads/{thread.json()['id']}"
    return str(thread.json()["id"])


async def pending(client: httpx.AsyncClient, thread_id: str) -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/approvals", params={"thread_id": thread_id, "status": "pending"})
    found: list[dict[str, Any]] = answer.json()
    return found


async def start(client: httpx.AsyncClient, thread_id: str, text: str, **fields: Any) -> dict[str, Any]:
    answer = await client.post(f"/api/v1/threads/{thread_id}/runs", json={"text": text, "agent": "coder", **fields})
    assert answer.status_code == 202, answer.text
    run: dict[str, Any] = answer.json()
    return run


async def rest(client: httpx.AsyncClient, thread_id: str) -> dict[str, Any]:
    async def resting() -> Any:
        run = (await client.get(f"/api/v1/threads/{thread_id}/runs")).json()[0]
        return run if run["status"] not in {"pending", "running"} else None

    run: dict[str, Any] = await until(resting, "the run to rest")
    return run


async def events(client: httpx.AsyncClient, thread_id: str, **params: str) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/v1/threads/{thread_id}/events", params={"follow": "false", **params})
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]


async def test_a_turn_with_an_approval(client: httpx.AsyncClient, git_repo: Any) -> None:
    thread_id = await new_thread(client, git_repo)
    run = await start(client, thread_id, "write a note")
    assert (await rest(client, thread_id))["status"] == "interrupted"
    (approval,) = await pending(client, thread_id)
    assert approval["preview"]["kind"] == "diff"
    assert (await client.get(f"/api/v1/threads/{thread_id}")).json()["status"] == "interrupted"
    decided = await client.post(f"/api/v1/approvals/{approval['id']}", json={"decision": "approve"})
    assert (decided.status_code, decided.json()["replayed"]) == (200, False)
    again = await client.post(f"/api/v1/approvals/{approval['id']}", json={"decision": "approve"})
    assert again.json()["replayed"] is True
    other = await client.post(f"/api/v1/approvals/{approval['id']}", json={"decision": "reject"})
    assert (other.status_code, other.json()["code"]) == (409, "approval_already_decided")
    done = await rest(client, thread_id)
    assert (done["status"], done["resumes_run_id"], done["turn_id"]) == ("success", run["id"], run["turn_id"])
    assert (git_repo / "note.txt").read_text("utf-8") == "hello\n"
    roles = [m["role"] for m in (await client.get(f"/api/v1/threads/{thread_id}/messages")).json()]
    assert roles == ["user", "assistant", "tool", "assistant"]


async def test_the_stream_tells_the_whole_story(client: httpx.AsyncClient, git_repo: Any) -> None:
    thread_id = await new_thread(client, git_repo)
    await start(client, thread_id, "write a note")
    await rest(client, thread_id)
    (approval,) = await pending(client, thread_id)
    await client.post(f"/api/v1/approvals/{approval['id']}", json={"decision": "approve"})
    await rest(client, thread_id)
    told = await events(client, thread_id)
    kinds = [e["type"] for e in told]
    assert kinds.count("RUN_STARTED") == kinds.count("RUN_FINISHED") == 2
    assert kinds.count("TOOL_CALL_START") == kinds.count("TOOL_CALL_RESULT") == 1
    texts = "".join(e["delta"] for e in told if e["type"] == "TEXT_MESSAGE_CONTENT")
    assert texts == "I write it.Done."
    args = "".join(e["delta"] for e in told if e["type"] == "TOOL_CALL_ARGS")
    assert json.loads(args) == {"path": "note.txt", "content": "hello\n"}
    finished = [e["outcome"]["type"] for e in told if e["type"] == "RUN_FINISHED"]
    assert finished == ["interrupt", "success"]


async def test_a_run_can_be_streamed_in_the_answer(client: httpx.AsyncClient, git_repo: Any) -> None:
    thread_id = await new_thread(client, git_repo)
    answer = await client.post(
        f"/api/v1/threads/{thread_id}/runs",
        json={"text": "hello", "agent": "coder"},
        headers={"accept": "text/event-stream"},
    )
    lines = answer.text.splitlines()
    told = [json.loads(line[5:]) for line in lines if line.startswith("data:")]
    assert told[-1]["type"] == "RUN_FINISHED"
    assert sum(line.startswith("id:") for line in lines) == len(told)
    assert answer.headers["location"].startswith(f"/api/v1/threads/{thread_id}/runs/")


async def test_replay_from_every_id_is_the_suffix(client: httpx.AsyncClient, git_repo: Any) -> None:
    thread_id = await new_thread(client, git_repo)
    await start(client, thread_id, "hello")
    await rest(client, thread_id)
    path = f"/api/v1/threads/{thread_id}/events?follow=false"
    whole = (await client.get(path)).text
    ids = [line[3:].strip() for line in whole.splitlines() if line.startswith("id:")]
    for position, event_id in enumerate(ids):
        suffix = (await client.get(path, headers={"last-event-id": event_id})).text
        assert [line[3:].strip() for line in suffix.splitlines() if line.startswith("id:")] == ids[position + 1 :]
    odd = await client.get(path, headers={"last-event-id": "garbage"})
    assert (odd.status_code, odd.json()["code"]) == (422, "bad_event_id")
    other_epoch = (await client.get(path, headers={"last-event-id": "elsewhere:3"})).text
    assert other_epoch.count("id:") == len(ids)


async def test_cancel_keeps_the_thread(client: httpx.AsyncClient, git_repo: Any) -> None:
    thread_id = await new_thread(client, git_repo)
    run = await start(client, thread_id, "slow please")
    busy = await client.post(f"/api/v1/threads/{thread_id}/runs", json={"text": "x"})
    assert (busy.status_code, busy.json()["code"]) == (409, "thread_busy")
    await asyncio.sleep(0.3)
    stopped = await client.post(f"/api/v1/threads/{thread_id}/runs/{run['id']}/cancel")
    assert stopped.status_code == 202
    assert (await rest(client, thread_id))["status"] == "interrupted"
    late = await client.post(f"/api/v1/threads/{thread_id}/runs/{run['id']}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "run_finished")
    await start(client, thread_id, "hello")
    assert (await rest(client, thread_id))["status"] == "success"


async def test_a_new_message_gives_up_a_pending_approval(
    client: httpx.AsyncClient, git_repo: Any, model: ScriptedChatModel
) -> None:
    thread_id = await new_thread(client, git_repo)
    await start(client, thread_id, "write a note")
    await rest(client, thread_id)
    (approval,) = await pending(client, thread_id)
    await start(client, thread_id, "never mind")
    assert (await rest(client, thread_id))["status"] == "success"
    assert not (git_repo / "note.txt").exists()
    late = await client.post(f"/api/v1/approvals/{approval['id']}", json={"decision": "approve"})
    assert late.status_code == 409
    seen = [m.type for m in model.requests[-1].messages]
    assert seen == ["system", "human", "ai", "tool", "human"]


async def test_changes_and_undo(client: httpx.AsyncClient, git_repo: Any) -> None:
    thread_id = await new_thread(client, git_repo)
    run = await start(client, thread_id, "write a note", approval_mode="auto")
    assert (await rest(client, thread_id))["status"] == "success"
    changes = (await client.get(f"/api/v1/threads/{thread_id}/changes")).json()
    assert "+hello" in changes["diff"]
    undone = await client.post(f"/api/v1/threads/{thread_id}/changes/{run['turn_id']}/undo")
    assert undone.json()["files"] == ["note.txt"]
    assert not (git_repo / "note.txt").exists()
    assert git(git_repo, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("runs", {"text": "x", "agent": "nobody"}, "unknown_agent"),
        ("runs", {"text": ""}, "invalid_request"),
        ("runs", {"text": "x", "surprise": 1}, "invalid_request"),
        ("runs", {"text": "x", "approval_mode": "yolo"}, "invalid_request"),
        ("runs", {"text": "x", "max_model_calls": 0}, "invalid_request"),
        ("runs", {}, "invalid_request"),
    ],
)
async def test_wrong_bodies_change_nothing(
    client: httpx.AsyncClient, git_repo: Any, path: str, body: dict[str, Any], code: str
) -> None:
    thread_id = await new_thread(client, git_repo)
    answer = await client.post(f"/api/v1/threads/{thread_id}/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (await client.get(f"/api/v1/threads/{thread_id}/runs")).json() == []


async def test_an_arbitrary_folder_is_refused(client: httpx.AsyncClient, tmp_path: Any) -> None:
    for path in ("/", "/etc", str(tmp_path), "~", "..", "\0"):
        answer = await client.post("/api/v1/workspaces", json={"path": path})
        assert answer.status_code == 422, path


async def test_nobody_sees_anothers_objects(people: httpx.AsyncClient, git_repo: Any) -> None:
    alice, bob = {"authorization": "Bearer alice"}, {"authorization": "Bearer bob"}
    thread_id = await new_thread(people, git_repo, **alice)
    run = await people.post(
        f"/api/v1/threads/{thread_id}/runs", json={"text": "write a note", "agent": "coder"}, headers=alice
    )

    async def waiting() -> Any:
        return (await people.get("/api/v1/approvals?status=pending", headers=alice)).json()

    (approval,) = await until(waiting, "the approval")
    base, run_id = f"/api/v1/threads/{thread_id}", run.json()["id"]
    requests = [
        ("GET", base, None), ("PATCH", base, {"title": "mine"}), ("DELETE", base, None),
        ("GET", f"{base}/messages", None),
        ("POST", f"{base}/runs", {"text": "x"}), ("GET", f"{base}/runs", None), ("GET", f"{base}/runs/{run_id}", None),
        ("POST", f"{base}/runs/{run_id}/cancel", None), ("GET", f"{base}/events?follow=false", None),
        ("GET", f"{base}/changes", None), ("POST", f"{base}/changes/{run.json()['turn_id']}/undo", None),
        ("GET", f"/api/v1/approvals/{approval['id']}", None),
        ("POST", f"/api/v1/approvals/{approval['id']}", {"decision": "approve"}), ("GET", f"/t/{thread_id}", None),
    ]  # fmt: skip
    for method, path, body in requests:
        answer = await people.request(method, path, json=body, headers=bob)
        assert answer.status_code == 404, (method, path, answer.text)
    for path in ("/api/v1/threads", "/api/v1/approvals", "/api/v1/workspaces"):
        listed = (await people.get(path, headers=bob)).json()
        assert (listed["items"] if isinstance(listed, dict) else listed) == []
    assert not (git_repo / "note.txt").exists()


async def test_scopes_come_before_objects(people: httpx.AsyncClient) -> None:
    reader = {"authorization": "Bearer reader-rita"}
    assert (await people.get("/api/v1/threads", headers=reader)).status_code == 200
    denied = await people.post("/api/v1/threads/none/runs", json={"text": "x"}, headers=reader)
    assert (denied.status_code, denied.json()["code"]) == (403, "insufficient_scope")


async def test_the_roster(client: httpx.AsyncClient) -> None:
    agents = (await client.get("/api/v1/agents")).json()
    assert [a["name"] for a in agents] == ["orchestrator", "architect", "ask", "coder", "debug"]


async def test_pages_render(client: httpx.AsyncClient, git_repo: Any) -> None:
    thread_id = await new_thread(client, git_repo)
    await client.patch(f"/api/v1/threads/{thread_id}", json={"title": "<script>alert(1)</script>"})
    for path in ("/", f"/t/{thread_id}", "/docs"):
        page = await client.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
    assert (await client.get("/static/thread.js")).status_code == 200


async def test_deleting_a_thread(client: httpx.AsyncClient, git_repo: Any) -> None:
    thread_id = await new_thread(client, git_repo)
    await start(client, thread_id, "slow please")
    assert (await client.delete(f"/api/v1/threads/{thread_id}")).status_code == 204
    assert (await client.get(f"/api/v1/threads/{thread_id}")).status_code == 404


async def test_the_servers_own_approval_mode_holds_where_the_client_names_none(
    client: httpx.AsyncClient, git_repo: Any
) -> None:
    runtime = client.app.state.runtime  # type: ignore[attr-defined]
    runtime.settings.approvals.mode = ApprovalMode.AUTO
    thread_id = await new_thread(client, git_repo)
    await start(client, thread_id, "write a note")
    assert (await rest(client, thread_id))["status"] == "success"
    assert (git_repo / "note.txt").exists()
