"""An agent is data: one Markdown file, front matter plus system prompt."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ..core.errors import ConfigError


class AgentLimits(BaseModel):
    """How far one agent may go in one turn; None leaves the turn's own limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model_calls: int | None = Field(None, ge=1)
    tool_calls: int | None = Field(None, ge=1)


class AgentSpec(BaseModel):
    """One agent: who it is, when to choose it, what it may touch, and its prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")
    description: str = Field(min_length=1, max_length=500, description="The router chooses by this sentence")
    when_to_use: str = ""
    tools: tuple[str, ...] = Field(min_length=1, description="Tool names or groups; nothing else grants a tool")
    files: tuple[str, ...] = Field((), description="Regular expressions of paths it may write; empty means all")
    model: str = Field("strong", description="A role; the model layer picks the model")
    limits: AgentLimits = AgentLimits()
    single_mode_only: bool = False
    version: str = "1"
    prompt: str = Field(min_length=1)

    @field_validator("files", "tools", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


def parse_agent(text: str, *, source: str) -> AgentSpec:
    """Read an agent file: `---`, YAML front matter, `---`, the system prompt. `ConfigError` names what is wrong."""
    parts = text.split("---\n", 2)
    if len(parts) != 3 or parts[0].strip():  # noqa: PLR2004 - before, front matter, prompt
        raise ConfigError(f"{source}: an agent file starts with '---', front matter and a second '---'")
    try:
        head = yaml.safe_load(parts[1])
        return AgentSpec(**head, prompt=parts[2].strip())
    except (yaml.YAMLError, TypeError, ValidationError) as exc:
        raise ConfigError(f"{source}: {exc}") from exc


def load_agents(folder: Path | None = None) -> dict[str, AgentSpec]:
    """Load every `*.md` of a folder (default: the built-in agents), by name."""
    base = folder if folder is not None else files(__package__) / "builtin"
    specs = [parse_agent(f.read_text("utf-8"), source=f.name) for f in base.iterdir() if f.name.endswith(".md")]
    return {spec.name: spec for spec in sorted(specs, key=lambda s: s.name)}
