"""AG-UI events as a person reads them in a terminal, and as a program reads them on stdout."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

from .terminal import brief, clean
from .texts import say

Event = dict[str, Any]


def print_json(value: Any) -> None:
    """One JSON value on one line of stdout, at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str) + "\n")
    sys.stdout.flush()


class Transcript:
    """Shows events as they come; text streams."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._calls: dict[str, list[str]] = {}
        self._midline = False
        self._shows = {
            "TEXT_MESSAGE_CONTENT": self._text,
            "TEXT_MESSAGE_END": lambda _event: self._break(),
            "TOOL_CALL_START": self._call_start,
            "TOOL_CALL_ARGS": self._call_args,
            "TOOL_CALL_END": self._call_end,
            "TOOL_CALL_RESULT": self._result,
            "CUSTOM": self._custom,
            "RUN_ERROR": self._error,
            "RUN_FINISHED": self._finished,
        }

    def show(self, event: Event) -> None:
        """Show one event, if it is for people."""
        show = self._shows.get(event["type"])
        if show is not None:
            show(event)

    def line(self, text: str, style: str = "") -> None:
        """Print a line of its own."""
        self._break()
        self._console.print(text, style=style)

    def _break(self) -> None:
        if self._midline:
            self._console.print()
            self._midline = False

    def _text(self, event: Event) -> None:
        delta = clean(event["delta"])
        if delta:
            self._console.print(delta, end="")
            self._midline = not delta.endswith("\n")

    def _call_start(self, event: Event) -> None:
        self._calls[event["toolCallId"]] = [event["toolCallName"], ""]

    def _call_args(self, event: Event) -> None:
        if event["toolCallId"] in self._calls:
            self._calls[event["toolCallId"]].append(event["delta"])

    def _call_end(self, event: Event) -> None:
        name, *args = self._calls.pop(event["toolCallId"], [""])
        if name:
            self.line(brief(f"• {name} {''.join(args)}", lines=1), style="cyan")

    def _result(self, event: Event) -> None:
        failed = event.get("metadata", {}).get("status") == "error"
        text = brief(str(event["content"])).replace("\n", "\n  ")
        self.line(f"  {text}", style="red" if failed else "dim")

    def _custom(self, event: Event) -> None:
        value = event.get("value") or {}
        if event["name"] == "agent_switched":
            self.line(clean(f"→ {value['target']}: {value['reason']}"), style="magenta")
        elif event["name"] == "run_restarted":
            self.line(say("restarted", attempt=value.get("attempt")), style="yellow")
        elif event["name"].startswith("ui.") and isinstance(value, dict):
            words = " · ".join(str(value[key]) for key in ("title", "body", "label") if value.get(key))
            if words:
                self.line(brief(f"» {words}"), style="yellow")

    def _error(self, event: Event) -> None:
        self.line(clean(say("run_failed", message=event["message"], code=event.get("code"))), style="bold red")

    def _finished(self, event: Event) -> None:
        self._break()
        if event["outcome"]["type"] == "cancelled":
            self.line(say("run_cancelled"), style="yellow")
