"""The commands of the thread protocol. A refusal is an answer, not an error of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeGuard
from uuid import UUID

from pydantic import ValidationError

from ...core.errors import CodeLabError, Conflict
from ...core.types import Principal
from ...store.eventlog import EventLog
from ...store.models import ThreadRow
from ..agent_runs.schemas import RunRequest
from ..agent_runs.service import AgentRuns
from .following import Following
from .tree import tree_of

Answer = dict[str, Any]
READ: Final = "runs:read"
WRITE: Final = "runs:write"
_PASSED_ON: Final = ("config", "context", "metadata", "multitask_strategy", "langsmith_tracer")
_TOLD: Final = {
    "stream_mode": ["values", "updates", "messages", "tools", "lifecycle", "custom", "tasks", "checkpoints"],
    "stream_subgraphs": True,
    "stream_resumable": True,
}
"""What a run of the protocol looks like to the other API."""
_AT_ONCE: Final = ("update", "goto")


class Refused(Exception):  # noqa: N818 - it reads as a fact
    """A command is answered with an error.

    Args:
        code: One of the protocol's error codes.
        message: A sentence.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Commands:
    """Carries out commands on threads.

    Args:
        runs: Makes the runs.
        log: Where runs tell what they do.
        following: The streams that wait for threads.
    """

    def __init__(self, *, runs: AgentRuns, log: EventLog, following: Following) -> None:
        self._runs = runs
        self._log = log
        self._following = following
        self._methods = {
            "run.start": (WRITE, self._start),
            "input.respond": (WRITE, self._respond),
            "agent.getTree": (READ, self._tree),
        }

    async def execute(self, principal: Principal, thread_id: str, command: Any) -> Answer:
        """Carry out one command; the answer says how it went. Access is bound to the principal."""
        sent: Mapping[str, Any] = command if isinstance(command, Mapping) else {}
        if not is_command(sent):
            return error(sent.get("id"), "invalid_argument", MALFORMED)
        try:
            return await self._carry_out(principal, thread_id, sent)
        except Refused as refusal:
            return error(sent["id"], refusal.code, refusal.message)
        except ValidationError as invalid:
            return error(sent["id"], "invalid_argument", _said(invalid))
        except CodeLabError as failure:
            return error(sent["id"], "unknown_error", f"{failure.status}: {failure.message}")

    async def _carry_out(self, principal: Principal, thread_id: str, sent: Mapping[str, Any]) -> Answer:
        known = self._methods.get(sent["method"])
        if known is None:
            raise Refused("unknown_command", f"Unknown protocol command: {sent['method'][:200]}")
        permission, carry_out = known
        if permission not in principal.scopes:
            raise Refused("permission_denied", f"This needs the permission {permission}.")
        params = sent.get("params")
        return await carry_out(sent["id"], principal, _uuid(thread_id), params if isinstance(params, Mapping) else {})

    async def _start(self, number: int, principal: Principal, thread_id: str, params: Mapping[str, Any]) -> Answer:
        assistant = params.get("assistant_id")
        if not assistant or not isinstance(assistant, str):
            raise Refused("invalid_argument", "run.start requires an assistant_id.")
        asked = {name: params[name] for name in _PASSED_ON if name in params}
        thread = await self._following.thread(principal, thread_id)
        asked |= _input_or_answer(params.get("input"), thread, forks=_forks(params))
        request = RunRequest.model_validate({**asked, "assistant_id": assistant, "if_not_exists": "create"})
        made = await self._runs.make(principal, thread_id, _told_as_protocol(request))
        if thread is None:
            self._following.born(thread_id)
        return success(number, {"run_id": str(made.run.run_id)}, made.after)

    async def _respond(self, number: int, principal: Principal, thread_id: str, params: Mapping[str, Any]) -> Answer:
        answers = _answers(params)
        thread = await self._following.thread(principal, thread_id)
        pending = _pending(thread)
        if thread is None:
            raise Refused("no_such_run", "No interrupted run is bound to this thread.")
        for interrupt_id in answers:
            if interrupt_id not in pending:
                raise _consumed(interrupt_id)
        command = {"resume": answers, **{name: params[name] for name in _AT_ONCE if params.get(name) is not None}}
        asked = {name: params[name] for name in ("config", "metadata") if name in params}
        assistant = await self._assistant(principal, thread)
        request = RunRequest.model_validate(
            {**asked, "command": command, "assistant_id": assistant, "multitask_strategy": "reject"}
        )
        try:
            made = await self._runs.make(principal, thread_id, _told_as_protocol(request))
        except Conflict as exc:  # another answer was faster
            raise _consumed(next(iter(answers))) from exc
        return success(number, {}, made.after)

    async def _tree(self, number: int, principal: Principal, thread_id: str, params: Mapping[str, Any]) -> Answer:
        thread = await self._following.thread(principal, thread_id)
        runs = await self._runs.page(principal, thread_id, limit=1) if thread else ()
        run_id = params.get("run_id") or (str(runs[0].run_id) if runs else None)
        if thread is None or not _is_uuid(run_id):
            raise Refused("no_such_run", "No active run is bound to this thread.")
        tree = tree_of(await self._log.read(thread_id, None, run_id=str(UUID(run_id))))
        if tree is None:
            raise Refused("no_such_run", "No active run is bound to this thread.")
        return success(number, {"tree": tree}, thread.last_seq)

    async def _assistant(self, principal: Principal, thread: ThreadRow) -> str:
        """Whoever asked goes on."""
        runs = await self._runs.page(principal, thread.id, limit=1)
        assistant = runs[0].assistant_id if runs else thread.meta.get("assistant_id")
        if not assistant:
            raise Refused("no_such_run", "No interrupted run is bound to this thread.")
        return str(assistant)


MALFORMED: Final = "Protocol commands must include an integer id and string method."


def _uuid(thread_id: str) -> str:
    """A thread's id in its canonical form."""
    try:
        return str(UUID(thread_id))
    except ValueError:
        raise Refused("unknown_error", "422: Invalid thread ID") from None


def _is_uuid(sent: Any) -> TypeGuard[str]:
    try:
        return isinstance(sent, str) and bool(UUID(sent))
    except ValueError:
        return False


def is_command(sent: Any) -> bool:
    """Whether this has the form of a command."""
    number = sent.get("id") if isinstance(sent, Mapping) else None
    return isinstance(number, int) and not isinstance(number, bool) and isinstance(sent.get("method"), str)


def success(number: int, result: Mapping[str, Any], applied_through_seq: int) -> Answer:
    """Make the answer to a command; `applied_through_seq` is the last record before its effects."""
    meta = {"applied_through_seq": applied_through_seq}
    return {"type": "success", "id": number, "result": dict(result), "meta": meta}


def error(number: Any, code: str, message: str) -> Answer:
    """Make a refusal."""
    return {"type": "error", "id": number if isinstance(number, int | str) else None, "error": code, "message": message}


def _told_as_protocol(request: RunRequest) -> RunRequest:
    return request.model_copy(update={**_TOLD, "protocol": True})


def _forks(params: Mapping[str, Any]) -> bool:
    config = params.get("config")
    configurable = config.get("configurable") if isinstance(config, Mapping) else None
    return isinstance(configurable, Mapping) and bool(configurable.get("checkpoint_id"))


def _input_or_answer(sent: Any, thread: ThreadRow | None, *, forks: bool) -> dict[str, Any]:
    """On a thread that waits for an answer the input is that answer; `null` goes on without one."""
    if sent is None or forks or not _pending(thread):
        return {"input": sent}
    return {"command": {"resume": sent}}


def _pending(thread: ThreadRow | None) -> frozenset[str]:
    asked = thread.interrupts if thread else {}
    return frozenset(each["id"] for interrupts in asked.values() for each in interrupts if each.get("id"))


def _answers(params: Mapping[str, Any]) -> dict[str, Any]:
    """One answer or many, by interrupt id."""
    many = params.get("responses")
    listed = many if isinstance(many, list) and many else [params]
    answers: dict[str, Any] = {}
    for each in listed:
        interrupt_id = each.get("interrupt_id") if isinstance(each, Mapping) else None
        if not interrupt_id or not isinstance(interrupt_id, str):
            raise Refused("invalid_argument", "input.respond requires an interrupt_id.")
        answers[interrupt_id] = each.get("response")
    return answers


def _consumed(interrupt_id: str) -> Refused:
    return Refused("no_such_interrupt", f"Unknown or already-consumed interrupt: {interrupt_id[:200]}")


def _said(invalid: ValidationError) -> str:
    problems = invalid.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in problems[:8])
