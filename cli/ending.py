"""How a command ends: exit codes 0 done, 1 failed, 2 usage, 3 waiting for an approval, 130 interrupted."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy.exc import SQLAlchemyError

from ..core.errors import CodeLabError, InvalidInput
from .terminal import clean
from .texts import say

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
WAITING: Final = 3
INTERRUPTED: Final = 130


class Interrupted(Exception):  # noqa: N818 - says what happened
    """The person pressed Ctrl-C (or closed the input) at a question."""


def code_of(event: dict[str, Any]) -> int:
    """The exit code for the last event of a turn."""
    if event.get("type") != "RUN_FINISHED":
        return FAILED
    return {"success": DONE, "interrupt": WAITING}.get(event["outcome"]["type"], FAILED)


def complain(sentence: str) -> None:
    """Tell what is wrong, on stderr."""
    typer.echo(f"codelab: {clean(sentence)}", err=True)


def hint(line: str) -> None:
    """Tell what could be typed next, on stderr, as a line that can be copied."""
    typer.echo(clean(line), err=True)


def finish(work: Coroutine[Any, Any, int], *, loops: Callable[[], asyncio.AbstractEventLoop] | None = None) -> NoReturn:
    """Run a command's work in an event loop of its own (one that `loops` makes) and leave with its exit code."""
    try:
        with asyncio.Runner(loop_factory=loops) as runner:
            code = runner.run(work)
    except (KeyboardInterrupt, asyncio.CancelledError, Interrupted):
        code = INTERRUPTED
    except CodeLabError as exc:
        complain(exc.message)
        code = USAGE if isinstance(exc, InvalidInput) else FAILED
    except BrokenPipeError:  # the reader of stdout (`| head`) has what it wanted
        _drop_stdout()
        code = FAILED
    except (OSError, SQLAlchemyError) as exc:
        complain(say("broken", problem=str(exc).splitlines()[0]))
        code = FAILED
    except SettingsError as exc:  # a list or a group that is no JSON; the sentence names it, without what it holds
        complain(say("bad_settings", problems=f"{exc}, {say('not_json')}"))
        code = USAGE
    except ValidationError as exc:
        complain(say("bad_settings", problems=_problems(exc)))
        code = USAGE
    raise typer.Exit(code)


def _drop_stdout() -> None:
    """Send what is still buffered nowhere, so that leaving does not complain about the pipe again."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a descriptor, not a path
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _problems(exc: ValidationError) -> str:
    """Name the variables that are wrong, without what they hold."""
    return "; ".join(f"CODELAB_{'__'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in exc.errors())
