"""One model call as the offline models read it: what was said, which tools there are, what was already done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage


@dataclass(frozen=True)
class Shape:
    """A function's or answer's name and JSON schema."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    @classmethod
    def of_tool(cls, tool: Mapping[str, Any]) -> Shape:
        """Read OpenAI's `{"type": "function", "function": {…}}`."""
        function = tool.get("function", tool)
        return cls(str(function["name"]), function.get("parameters") or {}, function.get("description") or "")

    @property
    def properties(self) -> Mapping[str, Any]:
        """Argument name → schema, references resolved one level deep."""
        found: Mapping[str, Any] = self.parameters.get("properties") or {}
        return {name: self.resolve(schema) for name, schema in found.items()}

    @property
    def required(self) -> Sequence[str]:
        """The arguments that may not be left out."""
        found: Sequence[str] = self.parameters.get("required") or ()
        return found

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow a `$ref` and look through an `X | None`."""
        if "$ref" in schema:
            name = str(schema["$ref"]).rsplit("/", 1)[-1]
            schema = (self.parameters.get("$defs") or {}).get(name, schema)
        options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
        return self.resolve(options[0]) if options else schema


@dataclass(frozen=True)
class Done:
    """A tool call of this turn with its result; `text` is None while there is none."""

    name: str
    args: Mapping[str, Any]
    text: str | None = None
    failed: bool = False


@dataclass(frozen=True)
class ChatRequest:
    """What one call of a model carries.

    Attributes:
        messages: The conversation, system prompt first.
        tools: The tools that may be called.
        structured: The shape the answer must have, if one is demanded.
        as_json: Whether the demanded shape is wanted as JSON text instead of a call.
        model: The model's name.
    """

    messages: Sequence[BaseMessage]
    tools: Sequence[Shape] = ()
    structured: Shape | None = None
    as_json: bool = False
    model: str = ""

    @cached_property
    def system(self) -> str:
        """All system prompts."""
        return "\n".join(m.text for m in self.messages if isinstance(m, SystemMessage))

    @cached_property
    def last(self) -> str:
        """The text of the last message, whoever said it."""
        return self.messages[-1].text if self.messages else ""

    @cached_property
    def human(self) -> str:
        """What the person said last."""
        return next((m.text for m in reversed(self.messages) if isinstance(m, HumanMessage)), "")

    @cached_property
    def turn(self) -> int:
        """How many answers of a model the conversation holds."""
        return sum(isinstance(m, AIMessage) for m in self.messages)

    @cached_property
    def since_human(self) -> Sequence[BaseMessage]:
        """Everything after the person's last message, oldest first."""
        tail = list(takewhile(lambda m: not isinstance(m, HumanMessage), reversed(self.messages)))
        return tail[::-1]

    @cached_property
    def step(self) -> int:
        """How many answers of a model follow the person's last message."""
        return sum(isinstance(m, AIMessage) for m in self.since_human)

    @cached_property
    def results(self) -> Sequence[str]:
        """The tool results the conversation ends with."""
        tail = list(takewhile(lambda m: isinstance(m, ToolMessage), reversed(self.messages)))
        return [m.text for m in reversed(tail)]

    @cached_property
    def done(self) -> Sequence[Done]:
        """The tool calls made since the person's last message, each with its result."""
        return _calls(self.since_human)

    @cached_property
    def ever_done(self) -> Sequence[Done]:
        """The tool calls of the whole conversation, each with its result."""
        return _calls(self.messages)

    def tool(self, name: str) -> Shape | None:
        """Return a bound tool by name."""
        return next((tool for tool in self.tools if tool.name == name), None)

    @cached_property
    def texts(self) -> Sequence[str]:
        """The text of each message; to ask a message for it takes a while, and conversations are long."""
        return [m.text for m in self.messages]

    def digest(self, seed: object) -> str:
        """Fingerprint the conversation: the same request again gives the same ids."""
        key = str(seed)
        if key not in self._digests:
            said = [
                (m.type, m.id, t, getattr(m, "tool_calls", None))
                for m, t in zip(self.messages, self.texts, strict=True)
            ]
            asked = [key, self.structured.name if self.structured else "", [tool.name for tool in self.tools]]
            self._digests[key] = hashlib.sha256(json.dumps([asked, said], default=str).encode()).hexdigest()
        return self._digests[key]

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {}


def _calls(messages: Sequence[BaseMessage]) -> list[Done]:
    results = {m.tool_call_id: m for m in messages if isinstance(m, ToolMessage)}
    calls = [call for m in messages if isinstance(m, AIMessage) for call in m.tool_calls]
    return [_done(call["name"], call["args"], results.get(call["id"] or "")) for call in calls]


def _done(name: str, args: Mapping[str, Any], result: ToolMessage | None) -> Done:
    if result is None:
        return Done(name, args)
    failed = result.status == "error" or result.text.lower().startswith("error")
    return Done(name, args, result.text, failed)
