"""Trajectories, judged by agentevals. It comes with the `evals` extra; nothing else here needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolCall

from ..core.errors import ConfigError
from .cases import Steps
from .report import Check

NEEDED = "grading a trajectory needs agentevals: pip install 'codelab-ai[evals]'"


def reference(steps: Steps) -> list[AnyMessage]:
    """Write a script's tool calls as the messages of a reference trajectory."""
    return [_calling(call.name, call.args if isinstance(call.args, dict) else {}) for s in steps for call in s.calls]


def _calling(name: str, args: Mapping[str, Any]) -> AIMessage:
    return AIMessage("", tool_calls=[ToolCall(name=name, args=dict(args), id="reference")])


def same_calls(messages: Sequence[AnyMessage], steps: Steps) -> Check:
    """Check that exactly the reference's calls were made, with its arguments, in any order."""
    return _judge("unordered", "exact", messages, reference(steps))


def at_least(messages: Sequence[AnyMessage], tools: Sequence[str]) -> Check:
    """Check that each of these tools was called, whatever else was."""
    wanted: list[AnyMessage] = [_calling(name, {}) for name in tools]
    return _judge("superset", "ignore", messages, wanted)


def _judge(mode: Any, args: Any, outputs: Sequence[AnyMessage], wanted: Sequence[AnyMessage]) -> Check:
    try:
        from agentevals.trajectory.match import create_trajectory_match_evaluator  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise ConfigError(NEEDED) from exc
    evaluate = create_trajectory_match_evaluator(trajectory_match_mode=mode, tool_args_match_mode=args)
    verdict = evaluate(outputs=[m for m in outputs if isinstance(m, AIMessage)], reference_outputs=list(wanted))
    return Check("trajectory", bool(verdict["score"]), f"calls {_names(outputs)}, reference ({mode}) {_names(wanted)}")


def _names(messages: Sequence[AnyMessage]) -> list[str]:
    return [call["name"] for m in messages if isinstance(m, AIMessage) for call in m.tool_calls]
