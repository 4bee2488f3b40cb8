"""Settings come from the environment and from the person's own file, never from the folder they stand in."""

from __future__ import annotations

from pathlib import Path

import pytest

from codelab.core.settings import Settings


def test_a_file_in_the_current_folder_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("CODELAB_LLM__BASE_URL=http://evil.example/v1\n")
    assert Settings().llm.base_url is None


def test_the_data_folders_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODELAB_DATA_DIR", str(tmp_path))
    (tmp_path / ".env").write_text("CODELAB_AGENTS__MAX_HOPS=7\n")
    assert Settings().agents.max_hops == 7
    monkeypatch.setenv("CODELAB_AGENTS__MAX_HOPS", "3")
    assert Settings().agents.max_hops == 3


def test_a_named_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.env").write_text("CODELAB_SERVER__PORT=9123\n")
    monkeypatch.setenv("CODELAB_ENV_FILE", str(tmp_path / "my.env"))
    assert Settings().server.port == 9123


def test_reserved_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().unused == []
    monkeypatch.setenv("CODELAB_TRACING__ENDPOINT", "http://127.0.0.1:4318")
    assert Settings().unused == ["CODELAB_TRACING__ENDPOINT"]
