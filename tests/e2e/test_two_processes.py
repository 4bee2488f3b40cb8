"""Two programs on one database: neither takes the other's live run, each recovers what the other left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kills import LONG, Patient, rows, texts, write_script
from tests.support.processes import before_exec
from tests.support.repos import make_repo
from tests.support.service import Service, scripted_server, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture
def patient(tmp_path: Path, database_url: str) -> Iterator[Patient]:
    for name in ("data", "repo"):
        (tmp_path / name).mkdir()
    folder = make_repo(tmp_path / "repo", {"notes.txt": "one\n", ".gitignore": "ran.log\n"})
    with scripted_server(write_script(tmp_path / "script.json")) as url:
        service = Service(folder, tmp_path / "data", database_url, url)
        yield Patient(service, folder)
        service.kill()


@pytest.fixture
def beside(patient: Patient) -> Iterator[Any]:
    """`codelab run` in a process of its own, on the same database."""
    running: list[subprocess.Popen[bytes]] = []

    def run(words: str) -> subprocess.Popen[bytes]:
        args = [sys.executable, "-m", "codelab.cli", "run", words, "-w", str(patient.folder)]
        process = subprocess.Popen(
            [*args, "--agent", "coder", "--approve", "auto", "--json"],
            env=patient.service.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=before_exec(None),  # noqa: PLW1509 - makes system calls only
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def attempts(patient: Patient, *statuses: str) -> list[int]:
    """How often each run was delivered, the oldest first."""
    query = "SELECT attempt, status FROM runs ORDER BY created_at"
    found = rows(str(patient.service.database_url), query)
    return [row.attempt for row in found if row.status in (statuses or {row.status})]


def heard(patient: Patient) -> list[Any]:
    return rows(str(patient.service.database_url), "SELECT seq FROM run_events WHERE type = 'text.delta'")


def test_a_live_run_is_left_alone(patient: Patient, beside: Any) -> None:
    patient.service.start()
    patient.say("sermon")
    until(lambda: heard(patient), "the sermon to begin")
    out, err = beside("append").communicate(timeout=60)
    assert b'"RUN_FINISHED"' in out, err
    assert attempts(patient, "running") == [1], "the sermon goes on where it was"
    assert patient.cancel()["reason"] == "cancelled"
    assert attempts(patient) == [1, 1]
    assert patient.ran == 1
    patient.check()


def test_the_service_recovers_the_run_of_a_killed_command(patient: Patient, beside: Any) -> None:
    patient.service.start()
    process = beside("lecture")
    until(lambda: heard(patient), "the lecture to begin")
    process.kill()
    process.wait()
    (row,) = rows(str(patient.service.database_url), "SELECT thread_id FROM runs")
    patient.thread_id = row.thread_id
    assert patient.rest()["status"] == "success"
    assert attempts(patient) == [2]
    assert list(texts(patient.check())) == [LONG]


def test_a_command_recovers_the_run_of_a_killed_service(patient: Patient, beside: Any) -> None:
    patient.service.start()
    patient.say("talk")
    until(lambda: heard(patient), "the talk to begin")
    patient.service.kill()
    out, err = beside("lecture").communicate(timeout=90)
    assert b'"RUN_FINISHED"' in out, err
    assert attempts(patient, "success") == [2, 1]
    patient.service.start()
    assert list(texts(patient.check())) == ["This is said slowly, word by word, to the end."]


def test_an_approval_that_nobody_gives_in_time_is_a_rejection(patient: Patient) -> None:
    """The clock decides, the turn goes on, and a late decision is told so."""
    patient.service.extra_env["CODELAB_APPROVALS__EXPIRY"] = "PT1S"
    patient.service.start()
    patient.say("append")
    approval = patient.approval()
    until(lambda: not patient.pending(), "the clock")
    for decision in ("approve", "reject"):
        late = patient.decide(approval, decision)
        assert (late.status_code, late.json()["code"]) == (409, "approval_expired")
    assert patient.rest()["status"] == "success"
    assert patient.ran == 0
    messages, approvals = patient.told()
    assert [role for role, _, _ in messages] == ["user", "assistant", "tool", "assistant"]
    assert "in time" in messages[2][1]
    assert [status for _, status, _ in approvals] == ["expired"]
    patient.check()
