"""Gemini's answers as canonical events: chunks of a stream and whole answers have one form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from ..errors import Rejected, ServerFailed
from ..events import Event, Extra, Finish, Reasoning, Text, ToolCall, Used
from ..usage import Usage, count
from .conversation import GEMINI_SEAL
from .http import malformed

_REASONS: Final = {"STOP": "stop", "MAX_TOKENS": "length", "OTHER": "stop", "FINISH_REASON_UNSPECIFIED": "stop"}
_FAILED: Final = ("MALFORMED_", "UNEXPECTED_", "TOO_MANY_", "MISSING_", "NO_IMAGE")


def read_usage(raw: Mapping[str, Any]) -> Usage:
    """Read `usageMetadata`: thoughts are counted beside the answer, results of Google's own tools beside the prompt."""
    thoughts = count(raw.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=count(raw.get("promptTokenCount")) + count(raw.get("toolUsePromptTokenCount")),
        output_tokens=count(raw.get("candidatesTokenCount")) + thoughts,
        cached_tokens=count(raw.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )


class Content:
    """One answer as it comes.

    Attributes:
        done: Whether a candidate has ended.
        error: What the provider said went wrong, if anything did.
    """

    __slots__ = ("_calls", "_id", "_raw", "done", "error")

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}
        self._raw: dict[str, Any] = {}
        self._id = ""
        self.done = False
        self.error: Any = None

    def read(self, data: bytes, into: list[Event]) -> None:
        """Read a chunk, or the whole answer.

        Raises:
            Rejected: The prompt was blocked.
            ServerFailed: The model made a call that is none.
        """
        try:
            said = orjson.loads(data)
            if "error" in said:
                self.error = said["error"]
                return
            self._id = said.get("responseId") or self._id
            for candidate in said.get("candidates") or ():
                self._candidate(candidate, into)
            blocked = (said.get("promptFeedback") or {}).get("blockReason")
            if usage := said.get("usageMetadata"):
                self._raw |= usage
                into.append(Used(read_usage(self._raw), dict(self._raw)))
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as exc:
            raise malformed() from exc
        if blocked:
            raise Rejected(f"The provider's content filter blocked the prompt ({blocked}).", code="content_filter")

    def _candidate(self, candidate: Mapping[str, Any], into: list[Event]) -> None:
        choice = candidate.get("index") or 0
        for part in (candidate.get("content") or {}).get("parts") or ():
            self._part(part, choice, into)
        beside = {
            name: candidate[name]
            for name in ("groundingMetadata", "citationMetadata", "logprobsResult")
            if name in candidate
        }
        if beside:
            into.append(Extra(beside, choice))
        if reason := candidate.get("finishReason"):
            self._finish(reason, choice, into)

    def _part(self, part: Mapping[str, Any], choice: int, into: list[Event]) -> None:
        seal = part.get("thoughtSignature") or ""
        if call := part.get("functionCall"):
            self._call(call, seal, choice, into)
            return
        if text := part.get("text"):
            into.append(Reasoning(text, choice) if part.get("thought") else Text(text, choice))
        if seal:
            into.append(Reasoning(choice=choice, signature=GEMINI_SEAL + seal))

    def _call(self, call: Mapping[str, Any], seal: str, choice: int, into: list[Event]) -> None:
        place = self._calls.get(choice, 0)
        self._calls[choice] = place + 1
        name = call.get("id") or f"call_{self._id or 'gemini'}_{choice}_{place}"
        arguments = orjson.dumps(call.get("args") or {}).decode()
        into.append(ToolCall(place, name, call["name"], arguments, choice, seal))

    def _finish(self, reason: str, choice: int, into: list[Event]) -> None:
        if reason.startswith(_FAILED):
            raise ServerFailed(f"The model's answer failed ({reason}).")
        told = _REASONS.get(reason, "content_filter")
        into.append(Finish("tool_calls" if told == "stop" and self._calls.get(choice) else told, choice))
        self.done = True
