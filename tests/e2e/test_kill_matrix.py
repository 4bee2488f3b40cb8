"""`kill -9` at every stage of a turn: after a restart it ends as if nothing had happened, and nothing is done twice."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from tests.support import postgres
from tests.support.kills import LONG, Patient, await_row, sleepers, soon, texts, write_script
from tests.support.repos import make_repo
from tests.support.service import Event, Service, answers, scripted_server, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def model_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with scripted_server(write_script(tmp_path_factory.mktemp("script") / "kills.json")) as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model_url: str
) -> Iterator[Service]:
    """One service for all kills on a database: it has a long history of them at the end."""
    home = tmp_path_factory.mktemp("service")
    for name in ("data", "repo"):
        (home / name).mkdir()
    url = f"sqlite:///{home / 'codelab.db'}"
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.create())
        postgres.migrate(url)
    folder = make_repo(home / "repo", {"notes.txt": "one\n", ".gitignore": "ran.log\n"})
    running = Service(folder, home / "data", url, model_url)
    yield running
    running.kill()


@pytest.fixture
def patient(service: Service) -> Patient:
    if service.process is None or service.process.poll() is not None:
        service.start()
    patient = Patient(service, service.workspace)
    patient.reset()
    return patient


def is_(kind: str, **fields: str) -> Callable[[Event], bool]:
    return lambda event: event["type"] == kind and all(event.get(k) == v for k, v in fields.items())


def healed(patient: Patient, words: str) -> list[Event]:
    """The killed turn ends, whole, and as the same turn without a kill; the replayed events."""
    patient.restart()
    assert patient.rest()["status"] == "success"
    events, told, did = patient.check(), patient.told(), (patient.ran, patient.notes)
    patient.reset()
    unharmed = Patient(patient.service, patient.folder)
    unharmed.say(words)
    assert unharmed.rest()["status"] == "success"
    assert told == unharmed.told()
    assert did == (patient.ran, patient.notes)
    return events


def test_right_after_the_post(patient: Patient) -> None:
    patient.say("edit")
    healed(patient, "edit")


@pytest.mark.parametrize("count", [1, 4])
def test_while_the_model_speaks(patient: Patient, count: int) -> None:
    heard: list[Event] = []
    patient.say("talk")
    patient.see(lambda e: e["type"] == "TEXT_MESSAGE_CONTENT" and (heard.append(e) or len(heard) >= count))
    events = healed(patient, "talk")
    assert list(texts(events)) == ["This is said slowly, word by word, to the end."]
    assert [e["name"] for e in events if e["type"] == "CUSTOM"].count("attempt_superseded") == 1


@pytest.mark.parametrize("moment", ["TOOL_CALL_START", "TOOL_CALL_END", "RUN_FINISHED"])
def test_from_the_model_to_the_gate(patient: Patient, moment: str) -> None:
    """In the middle of a call's arguments; between model and gate; as soon as the interrupt is told."""
    patient.say("edit")
    patient.see(is_(moment))
    healed(patient, "edit")


def test_while_an_approval_is_pending(patient: Patient) -> None:
    patient.say("append")
    first = patient.approval()
    patient.restart()
    assert patient.approval() == first
    assert patient.ran == 0
    healed(patient, "append")
    assert patient.ran == 1


@pytest.mark.parametrize("moment", ["accepted", "claimed"])
def test_right_after_the_decision(patient: Patient, moment: str) -> None:
    patient.say("edit")
    approval = patient.approval()
    assert patient.decide(approval).status_code == 200
    if moment == "claimed":
        query = "SELECT id FROM runs WHERE thread_id = :t AND attempt > 0 AND resumes_run_id IS NOT NULL"
        await_row(str(patient.service.database_url), query, t=patient.thread_id)
    patient.service.kill()
    patient.service.start()
    again = patient.decide(approval)
    assert (again.status_code, again.json()["replayed"]) == (200, True)
    healed(patient, "edit")
    assert len(patient.runs()) == 2


@pytest.mark.parametrize("moment", ["before", "after"])
def test_in_a_file_tool(patient: Patient, moment: str) -> None:
    """Before the effect (its start has just been recorded), and after it (the file has just changed)."""
    patient.say("edit")
    assert patient.decide(patient.approval()).status_code == 200
    if moment == "before":
        query = "SELECT state FROM tool_executions WHERE thread_id = :t"
        await_row(str(patient.service.database_url), query, t=patient.thread_id)
    else:
        soon(lambda: patient.notes != "one\n")
    patient.service.kill()
    healed(patient, "edit")
    assert patient.notes == "one two\n"


def test_in_a_running_command(patient: Patient) -> None:
    """It dies with the service, with all that it started; it is not run again, and the model is told."""
    patient.say("tree")
    assert patient.decide(patient.approval()).status_code == 200
    until(lambda: len(sleepers()) == 3, "the tree of processes")
    patient.service.kill()
    until(lambda: not sleepers(), "the tree to die", seconds=10)
    patient.service.start()
    assert patient.rest()["status"] == "success"
    patient.check()
    assert patient.ran == 1
    messages, approvals = patient.told()
    assert [role for role, _, _ in messages] == ["user", "assistant", "tool", "assistant"]
    assert "interrupted" in messages[2][1]
    assert [status for _, status, _ in approvals] == ["approved"]


def test_two_calls_of_one_step(patient: Patient) -> None:
    """Killed as soon as the first of two approved effects is seen: neither is lost, neither is repeated."""
    patient.say("both")
    until(lambda: len(patient.pending()) == 2, "two approvals")
    for approval in patient.pending():
        assert patient.decide(approval).status_code == 200
    soon(lambda: patient.notes != "one\n" or patient.ran)
    patient.restart()
    assert patient.rest()["status"] == "success"
    patient.check()
    messages, approvals = patient.told()
    assert [status for _, status, _ in approvals] == ["approved", "approved"]
    interrupted = any("interrupted" in content for _, content, _ in messages)
    assert patient.notes == "one two\n"
    assert patient.ran <= 1 if interrupted else patient.ran == 1


@pytest.mark.parametrize("moment", ["TOOL_CALL_RESULT", "speaking"])
def test_while_work_is_handed_over(patient: Patient, moment: str) -> None:
    patient.say("hand")
    debug = is_("STEP_STARTED", stepName="debug")
    patient.see(debug if moment == "speaking" else is_(moment))
    events = healed(patient, "hand")
    assert [e["value"]["target"] for e in events if e.get("name") == "agent_switched"] == ["coder", "debug"]


@pytest.mark.parametrize("ending", ["killed", "in peace"])
def test_during_a_shutdown(patient: Patient, ending: str) -> None:
    """SIGTERM, then SIGKILL while it drains; and SIGTERM alone, which gives the run back."""
    words, process = ("lecture" if ending == "killed" else "talk"), patient.service.process
    assert process is not None
    patient.say(words)
    patient.see(is_("TEXT_MESSAGE_CONTENT"))
    process.send_signal(signal.SIGTERM)
    if ending == "killed":
        until(lambda: not answers(f"{patient.service.url}/health/ready"), "the door to close")
        assert process.poll() is None, "it did not drain"
    else:
        assert process.wait(20) == 0
    patient.restart()
    assert patient.rest(seconds=60)["status"] == "success"
    assert list(texts(patient.check())) == [LONG if ending == "killed" else texts_of_talk()]


def texts_of_talk() -> str:
    return "This is said slowly, word by word, to the end."


def test_killed_again_and_again(patient: Patient) -> None:
    """One turn, a kill at each of its stages: the thread is never stuck, and takes the next message."""
    patient.say("append")
    patient.restart()
    approval = patient.approval()
    patient.restart()
    assert patient.decide(approval).status_code == 200
    patient.restart()
    assert patient.rest()["status"] == "success"
    patient.check()
    patient.go_on("talk")
    patient.restart()
    assert patient.rest()["status"] == "success"
    patient.check()
    assert patient.ran <= 1
