"""The gate: judges every call of a model turn, asks a person for all that need it in one interrupt, keeps the evidence.

Three hooks, each where it is safe: the verdicts are made in the model step and saved with the message, so that a
resumed node sees the same questions; the interrupt is raised from saved state only; an edit is applied at the tool.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ExtendedModelResponse
from langchain_core.messages import AIMessage, ToolCall, ToolMessage
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command, interrupt

from ..core.types import PolicyDecision, utc_now
from ..tools.approval import allowed_decisions, decide
from ..tools.facts import gather
from ..tools.policy import Grant, PolicyPin, Verdict
from ..tools.preview import preview
from ..tools.registry import canonical
from .decisions import answer_schema
from .host import Host
from .loops import repeated_calls
from .permitted import missing_permission
from .state import Approved, Ask, GateState

Handler = Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]

EDIT_NOTICE = "A person changed the arguments of this call before it ran. What ran: {args}\n\n"
EXPIRED = "The approval expired before it was given, so the call did not run. Ask again if it is still needed."
APPROVE_NOTICE = "The person approved this call and says: {message}\n\n"


def answered(request: ToolCallRequest) -> bool:
    """Whether this call already has its ToolMessage (a reject, and somebody jumped to the tools all the same)."""
    wanted = request.tool_call["id"]
    return any(isinstance(m, ToolMessage) and m.tool_call_id == wanted for m in request.state["messages"])


def evidence_of(request: ToolCallRequest) -> Approved | None:
    """What a person let this call do, if one did."""
    return (request.state.get("approved") or {}).get(request.tool_call["id"])


def prepend(result: ToolMessage | Command[Any], notice: str) -> ToolMessage | Command[Any]:
    """Put a notice before a result's text; a Command's messages are left alone."""
    if isinstance(result, ToolMessage) and isinstance(result.content, str):
        return result.model_copy(update={"content": notice + result.content})
    return result


def tool_message(ask: Ask, text: str, *, status: str) -> ToolMessage:
    """Answer a call that does not run."""
    return ToolMessage(text, name=ask["name"], tool_call_id=ask["call_id"], status=status)


class ApprovalMiddleware(AgentMiddleware[GateState, Any, Any]):
    """Approvals of one agent: see the module."""

    state_schema = GateState

    def __init__(self, *, grant: Grant, host: Host) -> None:
        super().__init__()
        self._grant = grant
        self._host = host

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ExtendedModelResponse[Any]:
        """Call the model, then judge what it wants to do."""
        response = await handler(request)
        calls = [call for m in response.result if isinstance(m, AIMessage) for call in m.tool_calls]
        state: Any = request.state
        loops = repeated_calls(state["messages"], calls)
        pin: PolicyPin | None = state.get("policy")
        asks = [ask for call in calls if (ask := await self._judge(call, pin, request.runtime, loops))]
        count = state.get("model_calls", 0) + 1
        return ExtendedModelResponse(response, Command(update={"asks": asks, "approved": {}, "model_calls": count}))

    async def _judge(self, call: ToolCall, pin: PolicyPin | None, runtime: Any, loops: dict[str, str]) -> Ask | None:
        context = await self._host.live(runtime)
        name = canonical(call["name"])
        if missing_permission(call, context) is not None:
            return None  # it is refused at the tool: nobody is asked in vain
        if call["id"] in loops:
            verdict = Verdict(PolicyDecision.DENY, "loop", loops[call["id"]], "low")
        else:
            verdict = decide(await gather(name, call["args"], context.workspace_handle), self._grant, pin)
        if verdict.decision is PolicyDecision.ALLOW:
            return None
        asked = verdict.decision is PolicyDecision.ASK
        shown = await preview(name, call["args"], context.workspace_handle) if asked else {}
        expires = utc_now() + timedelta(seconds=pin["expires_s"] if pin else 0)
        return Ask(
            call_id=call["id"] or "",
            name=name,
            args=call["args"],
            decision=verdict.decision.value,
            rule=verdict.rule,
            reason=verdict.reason,
            risk=verdict.risk,
            preview=shown,
            expires_at=expires.isoformat(),
        )

    async def aafter_model(self, state: GateState, runtime: Any) -> dict[str, Any] | None:  # noqa: ARG002 - the hook's shape
        """Ask for every call that needs a person, answer the denied ones. Nothing may raise after `interrupt`."""
        asks = state.get("asks") or []
        if not asks:
            return None
        pending = [ask for ask in asks if ask["decision"] == PolicyDecision.ASK]
        decisions = self._interrupt(pending) if pending else ()
        messages = [
            tool_message(ask, f"Refused: {ask['reason']}", status="error")
            for ask in asks
            if ask["decision"] == PolicyDecision.DENY
        ]
        approved: dict[str, Approved] = {}
        for ask, decision in zip(pending, decisions, strict=True):
            self._apply(ask, decision, messages, approved)
        return {"messages": messages, "approved": approved, "asks": []}

    def _interrupt(self, pending: Sequence[Ask]) -> Sequence[dict[str, Any]]:
        names = [ask["name"] for ask in pending]
        value = {
            "action_requests": [self._action(ask) for ask in pending],
            "review_configs": [
                {"action_name": name, "allowed_decisions": [kind.value for kind in allowed_decisions(name)]}
                for name in names
            ],
        }
        reply = interrupt(value, response_schema=answer_schema(tuple(names)))
        return tuple(reply.decisions)

    def _action(self, ask: Ask) -> dict[str, Any]:
        return {
            "name": ask["name"],
            "args": ask["args"],
            "description": f"{self._grant.agent} wants to run {ask['name']}: {ask['reason']}",
            "tool_call_id": ask["call_id"],
            "agent": self._grant.agent,
            "risk": ask["risk"],
            "reason": ask["reason"],
            "preview": ask["preview"],
            "expires_at": ask["expires_at"],
        }

    def _apply(
        self, ask: Ask, decision: dict[str, Any], messages: list[ToolMessage], approved: dict[str, Approved]
    ) -> None:
        kind, message = decision["type"], decision.get("message") or ""
        if kind in {"approve", "edit"} and utc_now() > datetime.fromisoformat(ask["expires_at"]):
            messages.append(tool_message(ask, EXPIRED, status="error"))
        elif kind == "reject":
            text = f"The person rejected this call. {message or 'Do not try it again; ask what to do instead.'}"
            messages.append(tool_message(ask, text, status="error"))
        elif kind == "respond":
            messages.append(tool_message(ask, message, status="success"))
        else:
            edited = kind == "edit"
            args = decision["edited_action"]["args"] if edited else ask["args"]
            approved[ask["call_id"]] = Approved(name=ask["name"], args=args, edited=edited, message=message)

    async def awrap_tool_call(self, request: ToolCallRequest, handler: Handler) -> ToolMessage | Command[Any]:
        """Run the call that the person let run, and tell the model what they changed or said."""
        if answered(request):
            return Command()
        approved = evidence_of(request)
        if approved is None:
            return await handler(request)
        call = ToolCall(name=request.tool_call["name"], args=approved["args"], id=request.tool_call["id"])
        result = await handler(request.override(tool_call={**request.tool_call, **call}))
        if approved.get("message"):
            result = prepend(result, APPROVE_NOTICE.format(message=approved["message"]))
        if approved["edited"]:
            result = prepend(result, EDIT_NOTICE.format(args=approved["args"]))
        return result
