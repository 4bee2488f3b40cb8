"""What a run of the suites found: checks, case results, totals; as JSON and as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .meter import Spent

_PIPED_WIDTH = 140


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what was seen when it was not right."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case, run and graded.

    Attributes:
        mutant: How the case was spoilt on purpose; such a result is right when it did not pass.
        skipped: Why the case was not run (it needs the scripted model, say).
        facts: What the suite's own summary is made from.
    """

    suite: str
    case: str
    checks: Sequence[Check]
    seconds: float = 0.0
    steps: int = 0
    spent: Spent = field(default_factory=Spent)
    mutant: str | None = None
    skipped: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every check passed; a result without checks proves nothing."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def right(self) -> bool:
        """Whether the result is the wanted one: passed, or for a mutant, failed."""
        return self.skipped is not None or self.passed is (self.mutant is None)

    def as_json(self) -> dict[str, Any]:
        """Render for `--json`."""
        return {**asdict(self), "spent": self.spent.as_json(), "passed": self.passed, "right": self.right}


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """The results of one suite; `summary` holds what only this suite knows (the routing matrix, …)."""

    name: str
    results: Sequence[CaseResult]
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def graded(self) -> Sequence[CaseResult]:
        """The results that count: neither mutants nor skipped."""
        return [r for r in self.results if r.mutant is None and r.skipped is None]

    @property
    def mutants(self) -> Sequence[CaseResult]:
        """The spoilt ones."""
        return [r for r in self.results if r.mutant is not None]

    @property
    def pass_rate(self) -> float:
        """Passed cases over graded ones; 0 when nothing was graded."""
        return sum(r.passed for r in self.graded) / len(self.graded) if self.graded else 0.0

    def as_json(self) -> dict[str, Any]:
        """Render for `--json`."""
        return {
            "suite": self.name,
            "totals": totals(self.results),
            "summary": self.summary,
            "cases": [result.as_json() for result in self.results],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one `codelab eval run` found."""

    model: str
    suites: Sequence[SuiteReport]

    @property
    def ok(self) -> bool:
        """Whether every case passed and every mutant failed."""
        return all(result.right for suite in self.suites for result in suite.results)

    def as_json(self) -> dict[str, Any]:
        """Render for `--json`."""
        everything = [result for suite in self.suites for result in suite.results]
        return {
            "model": self.model,
            "ok": self.ok,
            "totals": totals(everything),
            "suites": [suite.as_json() for suite in self.suites],
        }


def totals(results: Sequence[CaseResult]) -> dict[str, Any]:
    """Add up: cases, pass rate, mutants caught, tokens, cost with its coverage, steps, latency in seconds."""
    graded = [r for r in results if r.mutant is None and r.skipped is None]
    mutants = [r for r in results if r.mutant is not None]
    spent = sum((r.spent for r in graded), Spent())
    seconds = sorted(r.seconds for r in graded)
    return {
        "cases": len(graded),
        "passed": sum(r.passed for r in graded),
        "pass_rate": round(sum(r.passed for r in graded) / len(graded), 4) if graded else None,
        "skipped": sum(r.skipped is not None for r in results),
        "mutants": len(mutants),
        "mutants_caught": sum(not r.passed for r in mutants),
        "steps": sum(r.steps for r in graded),
        "latency_median_s": round(median(seconds), 4) if seconds else None,
        "latency_max_s": round(seconds[-1], 4) if seconds else None,
        **spent.as_json(),
    }


def render(report: Report) -> RenderableType:
    """Lay the report out: one table of totals, the suites' own tables, then every result that is not right."""
    table = Table(title=f"codelab eval · model {report.model}", title_justify="left")
    for column in ("suite", "passed", "rate", "mutants caught", "tokens in/out", "cost", "steps", "median s", "max s"):
        table.add_column(column, justify="left" if column == "suite" else "right")
    for suite in report.suites:
        table.add_row(suite.name, *_row(totals(suite.results)))
    parts: list[RenderableType] = [table]
    for suite in report.suites:
        parts += _summary(suite)
    parts += _wrong(result for suite in report.suites for result in suite.results)
    return Group(*parts)


def show(report: Report, console: Console | None = None) -> None:
    """Write the readable report to the terminal."""
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _PIPED_WIDTH)
    console.print(render(report))


def _row(total: dict[str, Any]) -> Iterable[str]:
    rate = "–" if total["pass_rate"] is None else f"{total['pass_rate']:.1%}"
    caught = f"{total['mutants_caught']}/{total['mutants']}" if total["mutants"] else "–"
    skipped = f" (+{total['skipped']} skipped)" if total["skipped"] else ""
    yield f"{total['passed']}/{total['cases']}{skipped}"
    yield rate
    yield caught
    yield f"{total['tokens_in']}/{total['tokens_out']}"
    yield _cost(total)
    yield str(total["steps"])
    yield _seconds(total["latency_median_s"])
    yield _seconds(total["latency_max_s"])


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _cost(total: dict[str, Any]) -> str:
    if not total["model_calls"]:
        return "–"
    unknown = total["unpriced_calls"]
    known = f"${total['cost_usd']:.4f}"
    return known if not unknown else f"{known} ({unknown} of {total['model_calls']} calls without a price)"


def _summary(suite: SuiteReport) -> Iterable[RenderableType]:
    matrix = suite.summary.get("confusion")
    if matrix:
        yield Text(f"{suite.name}: label ↓ answer →", style="italic")
        yield _matrix(matrix)
    plain = {k: v for k, v in suite.summary.items() if k != "confusion"}
    if plain:
        yield Text(f"{suite.name}: more", style="italic")
        table = Table(show_header=False)
        for key, value in plain.items():
            table.add_row(key, f"{value:.3f}" if isinstance(value, float) else str(value))
        yield table


def _matrix(matrix: dict[str, dict[str, int]]) -> Table:
    """Draw a confusion matrix: rows are labels, columns are answers."""
    answers = sorted({answer for row in matrix.values() for answer in row} | set(matrix))
    table = Table()
    for column in ("", *answers):
        table.add_column(column, justify="right")
    for label in answers:
        row = matrix.get(label, {})
        table.add_row(label, *(str(row.get(answer, 0) or "·") for answer in answers))
    return table


def _wrong(results: Iterable[CaseResult]) -> Iterable[RenderableType]:
    for result in results:
        if result.right:
            continue
        mutant = f" [mutant {result.mutant} was not noticed]" if result.mutant else ""
        lines = [f"  ✗ {c.name}: {c.detail}" for c in result.checks if not c.passed]
        yield Text("\n".join([f"{result.suite}/{result.case}{mutant}", *lines]), style="red")
