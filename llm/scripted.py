"""The scripted model: replies written beforehand, matched to what is asked. The same scripts drive the HTTP server.

A script is YAML, JSON or Python objects:

    name: fix-add
    replies:
      - when: {structured: true}
        structured: {agent: debug, confidence: 0.9, reason: a failing test}
      - when: {agent: debug, step: 0, human: "tests fail"}
        text: I read the file first.
        tool_calls: [{name: read_file, args: {path: calc.py}}]
      - when: {result: "/return a - b/", tools: [edit_file]}
        tool_calls: [{name: edit_file, args: {path: calc.py, edits: [{old: a - b, new: a + b}]}}]
      - fault: {kind: rate_limit, retry_after: 1}
        once: true
      - text: Done.

The first reply that matches is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from ..core.errors import ConfigError
from .answer import Answer, Call, Fault, identified, shaped
from .matching import When
from .offline import OfflineChatModel
from .request import ChatRequest


class ScriptedCall(BaseModel):
    """A tool call of a reply; `args` as a string is sent as it is (say, malformed JSON)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    args: dict[str, Any] | str = Field(default_factory=dict)
    id: str = ""


class Reply(BaseModel):
    """One reply and when it is given.

    Attributes:
        once: Given to one request only. A repeated identical request (a redelivery) gets it again,
            unless it is a fault, which a retry is meant to get past.
        delay_s: Seconds between pieces of the stream; None takes the script's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: When = When()
    text: str = ""
    tool_calls: tuple[ScriptedCall, ...] = ()
    structured: dict[str, Any] | None = None
    fault: Fault | None = None
    delay_s: float | None = None
    once: bool = False

    def matches(self, request: ChatRequest) -> bool:
        """Say whether this is the reply: what it gives must fit the demand, and `when` must hold."""
        demanded = request.structured is not None
        gives = self.structured is not None
        fits = demanded == gives or (self.fault is not None and not gives)
        return fits and self.when.holds(request)

    def answer(self, request: ChatRequest, delay_s: float) -> Answer:
        """Make the answer for a request that it matches."""
        pace = delay_s if self.delay_s is None else self.delay_s
        if self.structured is not None:
            said = shaped(self.structured, request)
            return Answer(said.text, said.calls, delay_s=pace, fault=self.fault)
        calls = tuple(Call(call.name, call.args, call.id) for call in self.tool_calls)
        return Answer(self.text, calls, delay_s=pace, fault=self.fault)


class Script(BaseModel):
    """A list of replies under a name; the name and the seed decide all ids."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "script"
    seed: int = 0
    delay_s: float = 0
    replies: tuple[Reply, ...] = ()

    @classmethod
    def of(cls, *replies: Reply | str, name: str = "script") -> Script:
        """Give replies one after another: the n-th to a conversation with n answers. A string is a text."""
        made = [Reply(text=reply) if isinstance(reply, str) else reply for reply in replies]
        turn, ordered = 0, []
        for reply in made:
            free = reply.structured is None and reply.fault is None and reply.when == When()
            ordered.append(reply.model_copy(update={"when": When(turn=turn)}) if free else reply)
            turn += reply.structured is None and reply.fault is None
        return cls(name=name, replies=tuple(ordered))

    @classmethod
    def load(cls, path: str | Path) -> Script:
        """Read a YAML or JSON file; `ConfigError` names what is wrong."""
        file = Path(path)
        try:
            data = yaml.safe_load(file.read_text("utf-8"))
            return cls.model_validate({"name": file.stem, "replies": data} if isinstance(data, list) else data)
        except (OSError, yaml.YAMLError, ValidationError) as exc:
            raise ConfigError(f"{file}: not a script of replies: {exc}") from exc


class UnscriptedRequest(LookupError):  # noqa: N818 - says what happened
    """A request for a shape that no reply of the script gives."""


@dataclass(frozen=True)
class Received:
    """A request and the position of the reply it got; None if none matched."""

    request: ChatRequest
    reply: int | None


class Playbook:
    """Answers requests from a script and remembers them; one per model or server."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.received: list[Received] = []
        self._spent: dict[int, str | None] = {}

    @property
    def unmatched(self) -> list[ChatRequest]:
        """The requests that no reply matched."""
        return [received.request for received in self.received if received.reply is None]

    def answer(self, request: ChatRequest) -> Answer:
        """Give the first matching reply. Unmatched: a text that says so, or `UnscriptedRequest` for a shape."""
        digest = request.digest(self._seed)
        position = next(
            (i for i, reply in enumerate(self.script.replies) if self._fits(i, reply, request, digest)), None
        )
        self.received.append(Received(request, position))
        if position is None:
            return self._unscripted(request)
        reply = self.script.replies[position]
        if reply.once:
            self._spent[position] = None if reply.fault else digest
        return identified(reply.answer(request, self.script.delay_s), request, seed=self._seed)

    @property
    def _seed(self) -> tuple[str, int]:
        return self.script.name, self.script.seed

    def _fits(self, position: int, reply: Reply, request: ChatRequest, digest: str) -> bool:
        free = position not in self._spent or self._spent[position] == digest
        return free and reply.matches(request)

    def _unscripted(self, request: ChatRequest) -> Answer:
        said = describe(request)
        message = f"No reply of script {self.script.name!r} matches. {said}"
        if request.structured is not None:
            raise UnscriptedRequest(message)
        return identified(Answer(message), request, seed=self._seed)


def describe(request: ChatRequest) -> str:
    """Say what was asked, so that whoever wrote the script sees what to match."""
    kind = request.messages[-1].type if request.messages else "no"
    shape = f" A {request.structured.name} is demanded." if request.structured else ""
    tools = ", ".join(tool.name for tool in request.tools) or "none"
    return (
        f"Asked: turn {request.turn}, step {request.step}, last message ({kind}): {request.last[:300]!r}.{shape} "
        f"Tools: {tools}. System prompt: {request.system[:120]!r}."
    )


class ScriptedChatModel(OfflineChatModel):
    """A chat model that answers from a script.

    Attributes:
        script: What it answers.
        on_request: Called with every request before it is answered.
    """

    script: Script
    model_name: str = "scripted"
    on_request: Callable[[ChatRequest], None] | None = Field(None, exclude=True)
    _playbook: Playbook = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Open the playbook once; bound copies share it."""
        super().model_post_init(context)
        self._playbook = Playbook(self.script)

    @classmethod
    def of(cls, *replies: Reply | str, name: str = "script") -> ScriptedChatModel:
        """Make a model that gives the replies one after another (see `Script.of`)."""
        return cls(script=Script.of(*replies, name=name))

    @property
    def requests(self) -> Sequence[ChatRequest]:
        """Every request so far."""
        return [received.request for received in self._playbook.received]

    @property
    def unmatched(self) -> Sequence[ChatRequest]:
        """The requests no reply matched."""
        return self._playbook.unmatched

    def answer(self, request: ChatRequest) -> Answer:
        """Answer from the script."""
        if self.on_request is not None:
            self.on_request(request)
        return self._playbook.answer(request)

    @property
    def _llm_type(self) -> str:
        return "codelab-scripted"
