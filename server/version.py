"""The version of what is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """Return the distribution's version; `0+unknown` in a bare tree."""
    try:
        return installed("codelab-ai")
    except PackageNotFoundError:
        return "0+unknown"
