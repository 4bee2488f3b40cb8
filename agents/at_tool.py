"""Everything that stands between an approved call and its effect, outer to inner: policy, journal, tool errors."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

import structlog
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import ToolMessage, message_to_dict, messages_from_dict
from langgraph.errors import GraphBubbleUp, is_invalid_resume
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from ..core.errors import CodeLabError
from ..core.events import ToolCompleted
from ..core.types import PolicyDecision
from ..tools.approval import decide
from ..tools.calls import call_key
from ..tools.context import RunContext
from ..tools.facts import gather
from ..tools.policy import Grant, Verdict
from ..tools.recovery import Recovery, fingerprint, recover
from ..tools.registry import REGISTRY, canonical
from ..tools.spec import Effect, ToolSpec
from .gate import evidence_of
from .host import Host
from .permitted import missing_permission
from .state import Approved, GateState

Result = ToolMessage | Command[Any]
Handler = Callable[[ToolCallRequest], Awaitable[Result]]
STARTED: Final = "tool.started"
log = structlog.get_logger(__name__)


def error_message(request: ToolCallRequest, text: str) -> ToolMessage:
    """Tell the model that a call failed and what to do."""
    call = request.tool_call
    return ToolMessage(text, name=call["name"], tool_call_id=call["id"] or "", status="error")


def proven(call: Mapping[str, Any], evidence: Approved | None) -> bool:
    """Whether a person approved exactly this call: same tool, same arguments."""
    return evidence is not None and evidence["name"] == canonical(call["name"]) and evidence["args"] == call["args"]


class PolicyMiddleware(AgentMiddleware[GateState, Any, Any]):
    """Decides again at the tool, on the arguments that will really run; asks are let through only with evidence."""

    state_schema = GateState

    def __init__(self, *, grant: Grant, host: Host) -> None:
        super().__init__()
        self._grant = grant
        self._host = host

    async def awrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> Result:
        """Run the call with the live context, or answer with the refusal."""
        context = await self._host.live(request.runtime)
        if (lacking := missing_permission(request.tool_call, context)) is not None:
            await self._tell(context, request, "denied", 0.0)
            return error_message(request, f"Refused: {lacking}")
        verdict = await self._verdict(request, context)
        if verdict.decision is PolicyDecision.ASK and not proven(request.tool_call, evidence_of(request)):
            verdict = Verdict(PolicyDecision.DENY, "no_approval", "nobody approved this call", verdict.risk)
        if verdict.decision is PolicyDecision.DENY:
            await self._tell(context, request, "denied", 0.0)
            return error_message(request, f"Refused: {verdict.reason}")
        return await self._timed(_prepared(request, context), handler, context)

    async def _verdict(self, request: ToolCallRequest, context: RunContext) -> Verdict:
        call = request.tool_call
        facts = await gather(canonical(call["name"]), call["args"], context.workspace_handle)
        return decide(facts, self._grant, request.state.get("policy"))

    async def _timed(self, request: ToolCallRequest, handler: Handler, context: RunContext) -> Result:
        started = time.monotonic()
        result = await handler(request)
        failed = isinstance(result, ToolMessage) and result.status == "error"
        await self._tell(context, request, "error" if failed else "ok", time.monotonic() - started)
        return result

    async def _tell(self, context: RunContext, request: ToolCallRequest, outcome: str, duration: float) -> None:
        event = ToolCompleted(
            tool=canonical(request.tool_call["name"]),
            call_id=request.tool_call["id"] or "",
            outcome=outcome,
            duration_s=duration,
            agent=self._grant.agent,
            **context.about,
        )
        await context.bus.publish(event)


def _prepared(request: ToolCallRequest, context: RunContext) -> ToolCallRequest:
    """Give the tool its live context; a name of the first generation runs the tool it stands for."""
    live: Any = replace(cast("Any", request.runtime), context=context)
    name = canonical(request.tool_call["name"])
    spec = REGISTRY.get(name)
    if name == request.tool_call["name"] or spec is None:
        return replace(request, runtime=live)
    return replace(request, runtime=live, tool=spec.tool, tool_call={**request.tool_call, "name": name})


class JournalMiddleware(AgentMiddleware[GateState, Any, Any]):
    """At most once: a call with an effect is recorded before it acts; a redelivered one gets its stored result."""

    async def awrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> Result:
        """Act once."""
        spec = REGISTRY.get(canonical(request.tool_call["name"]))
        if spec is None or spec.effect is Effect.NONE:
            return await handler(request)
        return await self._once(request, handler, spec)

    async def _once(self, request: ToolCallRequest, handler: Handler, spec: ToolSpec) -> Result:
        context = cast("RunContext", request.runtime.context)
        args, workspace = request.tool_call["args"], context.workspace_handle
        key = call_key(request.runtime)
        before = await fingerprint(spec, args, workspace)
        entry = await context.journal.begin(key, tool=spec.name, before=before)
        if entry.finished and entry.result is not None:
            return _restored(entry.result)
        if not entry.fresh:
            recovery = await recover(entry, spec, args, workspace)
            if not recovery.not_started:
                result: Result = _recovered(request, recovery)
                await context.journal.finish(key, _stored(result))
                return result
        result = await handler(request)
        await context.journal.finish(key, _stored(result))
        return result


def _recovered(request: ToolCallRequest, recovery: Recovery) -> ToolMessage:
    """What the model is told of a call whose worker died."""
    message = error_message(request, recovery.text)
    return message.model_copy(update={"status": "success"}) if recovery.state == "done" else message


def _stored(result: Result) -> dict[str, Any]:
    if isinstance(result, ToolMessage):
        return message_to_dict(result)
    raise CodeLabError("a journalled tool returns a message")


def _restored(stored: dict[str, Any]) -> ToolMessage:
    message = messages_from_dict([stored])[0]
    if not isinstance(message, ToolMessage):
        raise CodeLabError("the journal holds something that is not a tool result")
    return message


class ToolErrorMiddleware(AgentMiddleware[GateState, Any, Any]):
    """Innermost: an error becomes a result the model can act on; interrupts and drains pass through."""

    async def awrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> Result:
        """Run the tool."""
        try:
            return await handler(request)
        except GraphBubbleUp:
            raise
        except CodeLabError as exc:
            return error_message(request, f"Error ({exc.code}): {exc.message}")
        except Exception as exc:
            if is_invalid_resume(exc):
                raise
            log.warning("tool_failed", tool=request.tool_call["name"], error=repr(exc))
            return error_message(request, f"Error: {type(exc).__name__}: {exc}. Check the arguments and try again.")


def announced(request: ToolCallRequest, handler: Handler) -> Awaitable[Result]:
    """Say on the custom stream that a call begins, with the arguments that really run.

    LangGraph's own stream of tools is a second listener to every token of the model, and hands on the whole state.
    """
    call = request.tool_call
    told = {"type": STARTED, "tool_call_id": call["id"], "name": call["name"], "args": call["args"]}
    request.runtime.stream_writer(told)
    return handler(request)
