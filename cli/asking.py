"""Asking a person at the terminal what shall happen to a call."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from prompt_toolkit import PromptSession
from rich.console import Console

from .ending import Interrupted
from .terminal import brief, clean, coloured_diff
from .texts import say

Ask = Callable[[str, str], Awaitable[str]]
"""Shows a prompt with a text to begin with, and returns the line the person typed."""
Answer = dict[str, Any]

_KEYS: Final = {"a": "approve", "e": "edit", "r": "reject", "f": "feedback", "p": "respond"}
_RISKS: Final = ("low", "medium", "high")
_NEEDS: Final = {"feedback": "reject"}  # a feedback is a reject with words


def at_the_terminal() -> Ask:
    """Ask with line editing; Ctrl-C and Ctrl-D at a question raise `Interrupted`."""
    session: PromptSession[str] = PromptSession()

    async def ask(prompt: str, default: str) -> str:
        try:
            return await session.prompt_async(prompt, default=default)
        except (KeyboardInterrupt, EOFError) as exc:
            raise Interrupted from exc

    return ask


class Asker:
    """Decides interrupts by asking: shows the preview, then takes a key."""

    def __init__(self, console: Console, ask: Ask) -> None:
        self._console = console
        self._ask = ask

    async def __call__(self, interrupt: dict[str, Any]) -> Answer:
        """Answer one AG-UI interrupt."""
        facts = interrupt.get("metadata") or {}
        self._show(facts)
        if (facts.get("preview") or {}).get("kind") == "question" and "respond" in _allowed(facts):
            return {"decision": "respond", "message": await self._words(say("your_answer"))}
        while True:
            answer = await self._choose(facts)
            if answer is not None:
                return answer

    def _show(self, facts: dict[str, Any]) -> None:
        risk = say(f"risk_{facts['risk']}") if facts.get("risk") in _RISKS else "?"
        head = say("asks", agent=facts.get("agent") or "?", tool=facts.get("tool"), risk=risk)
        self._console.print(clean(head), style="bold yellow")
        if facts.get("reason"):
            self._console.print(clean(str(facts["reason"])), style="dim")
        preview = facts.get("preview") or {}
        if preview.get("kind") == "diff":
            self._console.print(coloured_diff(preview["diff"]))
        elif preview.get("kind") == "question":
            self._questions(preview.get("questions") or [])
        else:
            shown = (
                preview.get("command") or preview.get("text") or json.dumps(facts.get("arguments"), ensure_ascii=False)
            )
            self._console.print(brief(str(shown), lines=40, width=400))
        for warning in preview.get("warnings") or ():
            self._console.print(clean(f"! {warning}"), style="bold red")

    def _questions(self, questions: list[Any]) -> None:
        for question in questions:
            asked = question if isinstance(question, dict) else {"question": question}
            self._console.print(clean(str(asked.get("question"))))
            for choice in asked.get("choices") or ():
                self._console.print(clean(f"  - {choice}"))

    async def _choose(self, facts: dict[str, Any]) -> Answer | None:
        allowed = _allowed(facts)
        keys = {key: word for key, word in _KEYS.items() if _NEEDS.get(word, word) in allowed}
        self._console.print("  ".join(f"[{key}] {say('key_' + word)}" for key, word in keys.items()))
        typed = (await self._ask("? ", "")).strip().lower()
        chosen = keys.get(typed[:1]) if typed in keys or typed in keys.values() else None
        if chosen is None:
            self._console.print(say("choose_a_key"), style="yellow")
        elif chosen == "edit":
            arguments = await self._edit(facts.get("arguments") or {})
            return None if arguments is None else {"decision": "edit", "arguments": arguments}
        elif chosen in {"feedback", "respond"}:
            return {"decision": _NEEDS.get(chosen, chosen), "message": await self._words(say("your_words"))}
        return {"decision": chosen} if chosen in {"approve", "reject"} else None

    async def _words(self, prompt: str) -> str:
        while True:
            words = (await self._ask(prompt, "")).strip()
            if words:
                return words

    async def _edit(self, args: dict[str, Any]) -> dict[str, Any] | None:
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        try:
            if editor:
                text = await asyncio.to_thread(_in_editor, editor, json.dumps(args, ensure_ascii=False, indent=2))
            else:
                text = await self._ask(say("edit_json"), json.dumps(args, ensure_ascii=False))
            changed = json.loads(text)
        except (OSError, ValueError, subprocess.CalledProcessError) as exc:
            self._console.print(clean(say("bad_edit", problem=str(exc))), style="red")
            return None
        if isinstance(changed, dict):
            return changed
        self._console.print(say("bad_edit", problem=say("not_an_object")), style="red")
        return None


def _allowed(facts: dict[str, Any]) -> list[str]:
    return [str(kind) for kind in facts.get("allowed_decisions") or ("approve", "reject")]


def _in_editor(editor: str, text: str) -> str:
    with tempfile.TemporaryDirectory(prefix="codelab-") as folder:
        file = Path(folder) / "arguments.json"
        file.write_text(text, "utf-8")
        subprocess.run([*shlex.split(editor), str(file)], check=True)  # noqa: S603 - the person's own editor
        return file.read_text("utf-8")
