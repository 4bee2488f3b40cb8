"""`codelab login`, what it opens, and `codelab logout`, as a person types them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.people_service import PeopleService
from tests.support.person import Person

pytestmark = pytest.mark.e2e
CODELAB = [sys.executable, "-m", "codelab.cli"]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Another machine than the server's."""
    return os.environ | {"CODELAB_DATA_DIR": str(tmp_path / "laptop"), "LANG": "C.UTF-8", "COLUMNS": "400"}


def typed(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CODELAB, *words], env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60
    )


def sign_in(service: PeopleService, person: Person, env: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*CODELAB, "login", service.url], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = ""
        while not (found := re.search(r"http://\S+/device\S*", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        person.approve_device(found.group())
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def test_login_and_logout(service: PeopleService, ann: Person, env: dict[str, str]) -> None:
    refused = typed(env, "threads", "list", "--server", service.url)
    assert refused.returncode != 0
    sign_in(service, ann, env)
    file = Path(env["CODELAB_DATA_DIR"]) / "credentials.json"
    assert file.stat().st_mode & 0o077 == 0
    kept = json.loads(file.read_text())[service.url]
    service.keep(kept)
    shown = typed(env, "threads", "list", "--json", "--server", service.url)
    assert shown.returncode == 0, shown.stderr
    assert typed(env, "logout", service.url).returncode == 0
    assert service.url not in json.loads(file.read_text())
    with service.http(kept["access_token"]) as http:
        assert http.get("/api/v1/threads").status_code == 401
        form = {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"], "client_id": "codelab-cli"}
        answer = http.post("/oauth/token", data=form)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert typed(env, "threads", "list", "--server", service.url).returncode != 0
