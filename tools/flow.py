"""Steering the turn: the shared list of steps, questions to the person, the end."""

# ruff: noqa: D417 - `runtime` is no argument of the model's
from __future__ import annotations

from typing import Any, Literal

from langchain.tools import ToolRuntime
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langgraph.types import Command
from pydantic import BaseModel, Field

from ..core.types import ToolGroup
from .context import RunContext
from .spec import ToolSpec


class Todo(BaseModel):
    """One step of the work."""

    content: str = Field(min_length=1, max_length=500)
    status: Literal["pending", "in_progress", "completed"] = "pending"


class Question(BaseModel):
    """One question to the person."""

    question: str = Field(min_length=1, max_length=2000)
    kind: Literal["text", "choice", "choices", "confirm"] = "text"
    choices: list[str] = Field(default_factory=list, max_length=8)


def _message(runtime: ToolRuntime[RunContext, Any], name: str, text: str) -> ToolMessage:
    return ToolMessage(text, name=name, tool_call_id=runtime.tool_call_id or "")


@tool(parse_docstring=True)
async def update_todo_list(todos: list[Todo], runtime: ToolRuntime[RunContext, Any]) -> Command[Any]:
    """Replace the list of steps of this work. For work of three steps or more; keep it up to date.

    Args:
        todos: All steps in order, each with its status.
    """
    done = sum(todo.status == "completed" for todo in todos)
    note = _message(runtime, "update_todo_list", f"The list has {len(todos)} steps, {done} completed.")
    return Command(update={"todos": [todo.model_dump() for todo in todos], "messages": [note]})


@tool(parse_docstring=True)
async def finish(result: str, runtime: ToolRuntime[RunContext, Any]) -> Command[Any]:
    """End your turn with its result.

    Args:
        result: What was done or found, for the person.
    """
    return Command(update={"finished": result, "messages": [_message(runtime, "finish", "The turn is finished.")]})


@tool(parse_docstring=True)
async def prompt_user(questions: list[Question], answer: str = "") -> str:
    """Ask the person what only they can tell, and wait for the answer.

    Args:
        questions: One question or a few that belong together.
        answer: Leave it empty; the person fills it.
    """
    asked = "; ".join(question.question for question in questions)
    return f"The person answers: {answer}" if answer.strip() else f"No answer was given to: {asked}. Decide yourself."


SPECS = (
    ToolSpec(update_todo_list, ToolGroup.FLOW),
    ToolSpec(prompt_user, ToolGroup.FLOW),
    ToolSpec(finish, ToolGroup.FLOW),
)
