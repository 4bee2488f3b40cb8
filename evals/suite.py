"""What a suite is, and what it is run with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..llm.models import StaticModels
from ..llm.scripted import Script, ScriptedChatModel
from ..tools.context import Models
from .meter import Meter, Price
from .report import CaseResult

SCRIPTED = "scripted"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every case of a run shares.

    Attributes:
        model: What the report calls the model.
        live: The real models; None runs every case with its own script.
        prices: Dollars for a million tokens, by model name.
        free: Whether calls cost nothing (the scripted and the demo model).
    """

    model: str = SCRIPTED
    live: Models | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    free: bool = False

    @property
    def scripted(self) -> bool:
        """Whether the answers come from the cases' scripts."""
        return self.live is None

    def models(self, script: Script) -> Models:
        """Return the real models, or one that plays the script in every role."""
        return self.live or StaticModels(ScriptedChatModel(script=script))

    def meter(self) -> Meter:
        """Start counting for one case."""
        return Meter(self.model, None if self.scripted or self.free else self.prices)


class Suite(Protocol):
    """A set of cases and the way they are run and graded."""

    name: str

    def cases(self) -> Sequence[Any]:
        """Load the cases."""
        ...

    async def evaluate(self, case: Any, bench: Bench) -> CaseResult:
        """Run one case and grade it."""
        ...

    def mutants(self, case: Any, bench: Bench) -> AsyncIterator[CaseResult]:
        """Spoil the case in every way that fits and grade the results: each must fail."""
        ...

    def summary(self, results: Sequence[CaseResult]) -> dict[str, Any]:
        """Say what only this suite knows."""
        ...
