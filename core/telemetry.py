"""Logs, configured once by the entry points. Secrets and prompt texts are redacted by a processor."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

from .settings import LogSettings

_SECRET_KEYS = frozenset(
    {"token", "password", "secret", "api_key", "authorization", "cookie", "code", "prompt", "content"}
)
_NOISY = ("httpx", "httpcore", "openai", "httpx2", "aiosqlite", "asyncio", "urllib3")


def redact(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of fields that carry secrets or prompt texts."""
    for key in event:
        if key.lower() in _SECRET_KEYS:
            event[key] = "[redacted]"
    return event


class Stderr(io.TextIOBase):
    """Standard error as it is now; a line that cannot be written is lost, and nobody's run with it."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logs(settings: LogSettings) -> None:
    """Set structlog up: JSON where nobody watches, readable on a terminal, always on stderr."""
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    level = logging.getLevelNamesMapping().get(settings.level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            redact,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Stderr())),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=level, stream=Stderr(), format="%(levelname)s %(name)s %(message)s")
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
