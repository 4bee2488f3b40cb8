"""The answer a person gives to a batch of calls, as a schema: one entry per call, only the kinds that call allows.

An untyped interrupt that was answered badly keeps the bad value for ever; with this schema LangGraph validates the
answer before it is saved, and a right one can still be given. An edit cannot rename a call: its name is pinned.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, NotRequired

from pydantic import BaseModel, Field, TypeAdapter, create_model
from typing_extensions import TypedDict

from ..core.types import DecisionKind
from ..tools.approval import allowed_decisions


class Approve(TypedDict):
    """Run the call as it stands; a message goes to the model with the result."""

    type: Literal["approve"]
    message: NotRequired[str]


class Reject(TypedDict):
    """Do not run it; the message tells the model what to do instead."""

    type: Literal["reject"]
    message: NotRequired[str]


class Respond(TypedDict):
    """Do not run it; the message is its result."""

    type: Literal["respond"]
    message: str


_typed_dict: Any = TypedDict
"""The functional form, for types whose names are values."""


def _edit_type(name: str) -> Any:
    action = _typed_dict("EditedAction", {"name": Literal[name], "args": dict[str, Any]})
    return _typed_dict("Edit", {"type": Literal["edit"], "edited_action": action, "message": NotRequired[str]})


def _decision_type(name: str) -> Any:
    kinds: dict[DecisionKind, Any] = {
        DecisionKind.APPROVE: Approve,
        DecisionKind.REJECT: Reject,
        DecisionKind.RESPOND: Respond,
        DecisionKind.EDIT: _edit_type(name),
    }
    allowed = [kinds[kind] for kind in allowed_decisions(name)]
    if len(allowed) == 1:
        return allowed[0]
    union: Any = allowed[0]
    for member in allowed[1:]:
        union |= member
    return Annotated[union, Field(discriminator="type")]


class _Answer(BaseModel):
    """A model whose JSON schema is made once; LangGraph asks for it at every interrupt."""

    shown: ClassVar[dict[str, Any]] = {}
    decisions: Sequence[Any]

    @classmethod
    def __get_pydantic_json_schema__(cls, _core: Any, _handler: Any) -> dict[str, Any]:
        return dict(cls.shown)


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Put definitions where they are referred to: what is shown stands on its own."""
    if isinstance(schema, list):
        return [_inlined(member, definitions) for member in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items() if key not in {"$defs", "discriminator"}}


@lru_cache(maxsize=512)
def answer_schema(names: tuple[str, ...]) -> type[_Answer]:
    """The type of `{"decisions": [...]}` for calls of these tools, by position."""
    by_position: Any = tuple
    members = by_position[tuple(_decision_type(name) for name in names)]
    answer: Any = create_model("Answer", __base__=_Answer, decisions=(members, ...))
    plain = TypeAdapter(_typed_dict("Answer", {"decisions": members})).json_schema()
    answer.shown = _inlined(plain, plain.get("$defs", {}))
    return answer
