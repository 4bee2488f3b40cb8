"""Cases are YAML; this reads them and sets their workspaces up. A case that is not well formed is a `ConfigError`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..core.errors import ConfigError
from ..llm.scripted import Reply, Script, ScriptedCall

CaseT = TypeVar("CaseT", bound="Case")


class Link(BaseModel):
    """A symlink of a workspace: where it points, relative to its own folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    link: str


Layout = dict[str, str | Link]
"""Relative path → content, or a symlink."""


class Case(BaseModel):
    """What every case has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    note: str = ""


class Step(BaseModel):
    """One answer of the scripted model: a text, tool calls, or both."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    say: str = ""
    calls: tuple[ScriptedCall, ...] = ()


Steps = tuple[Step, ...]


class RoutedTo(BaseModel):
    """What the scripted model answers when the router asks it."""

    agent: str
    confidence: float = Field(0.9, ge=0, le=1)


def script_of(name: str, steps: Steps, routed: RoutedTo | None = None) -> Script:
    """Make a script that gives the steps one after another, and `routed` to the router."""
    replies = [Reply(text=step.say, tool_calls=step.calls) for step in steps]
    script = Script.of(*replies, name=name)
    if routed is None:
        return script
    choice = Reply(structured={**routed.model_dump(), "reason": "scripted"})
    return script.model_copy(update={"replies": (choice, *script.replies)})


def suite_files(suite: str) -> Iterator[tuple[str, Any]]:
    """Yield the YAML files of a suite, by name, parsed."""
    with as_file(files(__package__) / "suites" / suite) as folder:
        for file in sorted(folder.glob("*.yaml")):
            yield file.stem, yaml.safe_load(file.read_text("utf-8"))


def load_cases(suite: str, kind: type[CaseT]) -> list[CaseT]:
    """Load every case of the suite's files; ids must be unique."""
    found: dict[str, CaseT] = {}
    for stem, data in suite_files(suite):
        for raw in data.get("cases", ()):
            case = parse_case(raw, kind, source=f"{suite}/{stem}.yaml")
            if case.id in found:
                raise ConfigError(f"{suite}/{stem}.yaml: there are two cases {case.id!r}")
            found[case.id] = case
    return list(found.values())


def parse_case(raw: Mapping[str, Any], kind: type[CaseT], *, source: str) -> CaseT:
    """Check one case."""
    try:
        return kind.model_validate(raw)
    except ValidationError as exc:
        raise ConfigError(f"{source}, case {raw.get('id')!r}: {exc}") from exc


def lay_out(layout: Mapping[str, str | Link], root: Path) -> None:
    """Make the files and symlinks of a layout below `root`."""
    for name, content in layout.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            path.symlink_to(content.link)
        else:
            path.write_text(content, "utf-8", newline="")


def read_back(root: Path, name: str) -> str | None:
    """Read a file as it stands, line ends included; None if it is not there."""
    path = root / name
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else None
