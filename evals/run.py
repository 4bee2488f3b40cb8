"""The entry point of the evals room: loads suites, runs them on a model, and reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..core.errors import ConfigError, InvalidInput
from ..core.settings import Settings
from ..llm.demo import DemoChatModel
from ..llm.models import StaticModels, build_models
from . import approvals, coding, edits, policy, routing
from .exercism import Exercises, ExercismSuite
from .meter import load_prices
from .report import CaseResult, Report, SuiteReport
from .suite import SCRIPTED, Bench, Suite

SUITES: Final[dict[str, Suite]] = {
    suite.name: suite for suite in (routing.SUITE, policy.SUITE, approvals.SUITE, edits.SUITE, coding.SUITE)
}
"""Every suite, in the order they run."""

DEMO = "demo"
Progress = Callable[[CaseResult], None]


def choose(names: Sequence[str]) -> list[Suite]:
    """Find suites by name, all for none; `InvalidInput` lists what there is."""
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        raise InvalidInput(f"there is no suite {unknown[0]!r}; choose from {', '.join(SUITES)}")
    return [SUITES[name] for name in names] if names else list(SUITES.values())


def make_bench(model: str, *, settings: Settings | None = None, prices: Path | None = None) -> Bench:
    """Prepare a model.

    Args:
        model: `scripted`, `demo`, or the name of a model at the endpoint of `CODELAB_LLM__*`.
        settings: Default: those of the environment.
        prices: A price file (see `meter.load_prices`).

    Raises:
        ConfigError: A real model is named, but no endpoint or key is set.
    """
    if model == SCRIPTED:
        return Bench()
    if model == DEMO:
        return Bench(model=DEMO, live=StaticModels(DemoChatModel()), free=True)
    settings = settings or Settings()
    names = settings.llm.models.model_copy(update={"strong": model, "fast": model})
    live = build_models(settings.llm.model_copy(update={"models": names}))
    if isinstance(live.chat("strong"), DemoChatModel):
        raise ConfigError(f"to run {model!r}, set CODELAB_LLM__BASE_URL or CODELAB_LLM__API_KEY")
    return Bench(model=model, live=live, prices=load_prices(prices))


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is run, and how.

    Attributes:
        mutants: Spoil every case as well.
        cases: Only these ids; empty means all.
        prices: A price file (see `meter.load_prices`).
        exercises: Run these instead of suites.
    """

    mutants: bool = False
    cases: Sequence[str] = ()
    prices: Path | None = None
    exercises: Exercises | None = None


async def run_suite(
    suite: Suite, bench: Bench, options: Options | None = None, *, progress: Progress | None = None
) -> SuiteReport:
    """Run one suite; `progress` is told each result as it comes."""
    options = options or Options()
    results: list[CaseResult] = []

    def take(result: CaseResult) -> None:
        results.append(result)
        if progress:
            progress(result)

    for case in suite.cases():
        if options.cases and case.id not in options.cases:
            continue
        take(await suite.evaluate(case, bench))
        if options.mutants:
            async for result in suite.mutants(case, bench):
                take(result)
    return SuiteReport(suite.name, results, suite.summary(results))


async def run_suites(
    names: Sequence[str] = (),
    *,
    model: str = SCRIPTED,
    options: Options | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Report:
    """Run suites by name (none: all) on a model.

    Raises:
        InvalidInput: A suite or a case that does not exist.
        ConfigError: A case that is not well formed, a missing extra, a model without an endpoint.
    """
    options = options or Options()
    bench = make_bench(model, settings=settings, prices=options.prices)
    suites: Sequence[Suite] = [ExercismSuite(options.exercises)] if options.exercises else choose(names)
    reports = [await run_suite(suite, bench, options, progress=progress) for suite in suites]
    if options.cases and not any(report.results for report in reports):
        raise InvalidInput(f"no suite has a case {', '.join(options.cases)}")
    return Report(bench.model, reports)
