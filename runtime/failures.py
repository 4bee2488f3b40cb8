"""Failures as log fields. Plain text: a renderer that draws local variables would stop the event loop for seconds."""

from __future__ import annotations

import traceback


def told(exc: BaseException) -> dict[str, str]:
    """Name a failure and where it came from."""
    return {"error": repr(exc), "trace": "".join(traceback.format_exception(exc))}
