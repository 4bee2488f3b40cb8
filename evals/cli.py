"""`codelab eval`: run the suites. The commands import what they need when they run, so that `--help` stays quick."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import CodeLabError
from ..core.settings import LogSettings
from ..core.telemetry import configure_logs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .exercism import Exercises
    from .report import CaseResult, Report
    from .run import Options

app = typer.Typer(help="Measure agents: routing, policy, approvals, edits, coding.", no_args_is_help=True)


@app.command("run")
def run(
    suites: Annotated[list[str] | None, typer.Argument(help="Suites to run; all if none is named.")] = None,
    *,
    model: Annotated[
        str, typer.Option(help="scripted, demo, or a model at the endpoint of CODELAB_LLM__BASE_URL.")
    ] = "scripted",
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
    mutants: Annotated[bool, typer.Option(help="Spoil every case as well; each mutant must be graded failed.")] = False,
    case: Annotated[list[str] | None, typer.Option(help="Only these case ids.")] = None,
    prices: Annotated[
        Path | None, typer.Option(help="YAML: model → {input, output} dollars per million tokens.", dir_okay=False)
    ] = None,
    exercism: Annotated[
        Path | None, typer.Option(help="Run exercises in Exercism's format from this folder instead.", file_okay=False)
    ] = None,
    test_command: Annotated[
        str | None, typer.Option(help="Tests exercises that are not Python; {tests} becomes the test files.")
    ] = None,
) -> None:
    """Run suites and report. Exit code 0: everything passed and every mutant was caught; 1: not; 2: usage."""
    from .run import Options  # noqa: PLC0415 - see the module

    exercises = _exercises(exercism, test_command)
    options = Options(mutants=mutants, cases=case or (), prices=prices, exercises=exercises)
    report = _run(suites or (), model, options, quiet=as_json)
    _print(report, as_json=as_json)
    raise typer.Exit(0 if report.ok else 1)


def _run(suites: Sequence[str], model: str, options: Options, *, quiet: bool) -> Report:
    from .run import run_suites  # noqa: PLC0415 - see the module

    configure_logs(LogSettings(level="ERROR"))
    try:
        return asyncio.run(run_suites(suites, model=model, options=options, progress=None if quiet else _tick))
    except CodeLabError as exc:
        typer.secho(exc.message, err=True, fg="red")
        raise typer.Exit(2) from exc


def _print(report: Report, *, as_json: bool) -> None:
    from .report import show  # noqa: PLC0415 - see the module

    if as_json:
        typer.echo(json.dumps(report.as_json(), ensure_ascii=False, default=str))
        return
    typer.echo(err=True)
    show(report)


@app.command("list")
def list_suites() -> None:
    """List the suites and how many cases each has."""
    from .run import SUITES  # noqa: PLC0415 - see the module

    for name, suite in SUITES.items():
        typer.echo(f"{name:12} {len(suite.cases())} cases")


def _exercises(folder: Path | None, test_command: str | None) -> Exercises | None:
    if folder is None:
        return None
    from .exercism import Exercises  # noqa: PLC0415 - see the module

    return Exercises(folder=folder, test_command=test_command)


def _tick(result: CaseResult) -> None:
    """Show that it goes on: a dot for each right result."""
    mark = "s" if result.skipped else "." if result.right else "F"
    sys.stderr.write(mark)
    sys.stderr.flush()
