"""Logs: nothing that is logged may hurt whoever logs it."""

import io
import sys

import pytest
import structlog

from codelab.core.settings import LogSettings
from codelab.core.telemetry import configure_logs


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logs(LogSettings(format="json"))
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr(sys, "stderr", gone)
    structlog.get_logger("x").error("run_failed", error="boom")


def test_lines_go_where_standard_error_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logs(LogSettings(format="json"))
    now = io.StringIO()
    monkeypatch.setattr(sys, "stderr", now)
    structlog.get_logger("x").error("run_failed", token="secret")
    assert "run_failed" in now.getvalue()
    assert "secret" not in now.getvalue()
