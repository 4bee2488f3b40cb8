"""The command as a person or a script starts it: real processes, with the demo model."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.processes import before_exec, free_port, spawn, stop, wait_until

TASK = "create NOTES.md with first"


@pytest.fixture
def environment(tmp_path):
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }


@pytest.fixture
def start(environment, tmp_path):
    """Start `codelab` with words; everything still running ends with the test."""
    running = []

    def begin(*words, **variables):
        process = subprocess.Popen(
            [sys.executable, "-m", "codelab.cli", *map(str, words)],
            cwd=tmp_path,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before_exec(None),  # noqa: PLW1509 - makes system calls only
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def codelab(start):
    """Run `codelab` to its end: exit code, stdout, stderr."""

    def run(*words, **variables):
        process = start(*words, **variables)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return run


def events_of(out):
    return [json.loads(line) for line in out.splitlines()]


def test_json_is_all_there_is_on_stdout(codelab, git_repo):
    code, out, _ = codelab("run", "list files", "-w", git_repo, "--approve", "deny", "--json")
    events = events_of(out)
    assert code == 0
    assert {"RUN_STARTED", "TOOL_CALL_RESULT", "RUN_FINISHED"} <= {event["type"] for event in events}
    assert events[-1]["outcome"] == {"type": "success"}


def test_without_a_terminal_an_approval_leaves_with_3_and_says_how_to_go_on(codelab, git_repo):
    code, out, err = codelab("run", TASK, "-w", git_repo, "--json")
    assert code == 3
    finished = events_of(out)[-1]
    assert finished["outcome"]["type"] == "interrupt"
    assert finished["threadId"] in err
    decide = re.search(r"^  codelab (threads decide \S+) approve    # or edit, reject, respond: ", err, re.MULTILINE)[
        1
    ].split()
    assert decide[-1] == finished["outcome"]["interrupts"][0]["id"]
    assert not (git_repo / "NOTES.md").exists()

    assert codelab("threads", "resume", finished["threadId"])[0] == 3
    code, out, _ = codelab(*decide, "approve")
    assert code == 0
    assert "NOTES.md" in out
    assert "first" in (git_repo / "NOTES.md").read_text()


@pytest.mark.e2e
def test_threads_are_looked_at_and_undone(codelab, git_repo):
    assert codelab("run", TASK, "-w", git_repo, "--approve", "auto")[0] == 0
    (listed,) = events_of(codelab("threads", "list", "--json")[1])
    thread = listed["id"]
    assert thread in codelab("threads", "list")[1]
    assert TASK in codelab("threads", "show", thread)[1]
    code, diff, _ = codelab("threads", "diff", thread)
    assert code == 0
    assert "+first" in diff
    assert codelab("threads", "undo", thread)[0] == 0
    assert not (git_repo / "NOTES.md").exists()
    assert codelab("threads", "undo", thread)[0] == 2
    assert codelab("threads", "rm", thread)[0] == 0
    code, _, err = codelab("threads", "show", thread)
    assert (code, "no such thread" in err) == (1, True)


@pytest.fixture
def slow_model(tmp_path):
    """A scripted endpoint over HTTP whose answer takes its time."""
    script, log, port = tmp_path / "slow.json", tmp_path / "model.log", free_port()
    script.write_text(json.dumps({"replies": [{"text": "word " * 2000, "delay_s": 0.05}]}))
    argv = [sys.executable, "-m", "codelab.llm.scripted_server", "--script", str(script), "--port", str(port)]
    server = spawn(argv, log=log)
    wait_until(lambda: answers(port), server, log)
    yield f"http://127.0.0.1:{port}/v1"
    stop(server, signal.SIGKILL)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def first_words(process):
    for line in process.stdout:
        if json.loads(line)["type"] == "TEXT_MESSAGE_CONTENT":
            return
    raise AssertionError(process.stderr.read())


def test_ctrl_c_leaves_with_130_and_keeps_the_thread(start, codelab, git_repo, slow_model):
    model = {"CODELAB_LLM__BASE_URL": slow_model, "CODELAB_LLM__MODELS__STRONG": "slow"}
    process = start("run", "talk", "-w", git_repo, "--agent", "ask", "--json", **model)
    first_words(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    (thread,) = events_of(codelab("threads", "list", "--json")[1])
    assert thread["status"] in {"idle", "interrupted"}  # ready for the next message
    assert "talk" in codelab("threads", "show", thread["id"])[1]


def test_a_reader_that_has_seen_enough_is_no_failure_to_look_into(start, git_repo, slow_model):
    model = {"CODELAB_LLM__BASE_URL": slow_model, "CODELAB_LLM__MODELS__STRONG": "slow"}
    process = start("run", "talk", "-w", git_repo, "--agent", "ask", "--json", **model)
    first_words(process)
    process.stdout.close()
    process.wait(timeout=20)
    assert process.returncode == 1
    assert process.stderr.read() == ""


def listening(process):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "token" in line.lower():
            return "".join(lines)
    raise AssertionError("".join(lines) + process.stderr.read())


@pytest.mark.e2e
def test_a_server_and_its_clients(start, codelab, git_repo, tmp_path):
    began = time.monotonic()
    server = start("serve", "-w", git_repo, "--port", "0")
    said = listening(server)
    assert time.monotonic() - began < 60
    url = re.search(r"http://127\.0\.0\.1:\d+", said)[0]
    assert f"{url}/login?code=" in said
    assert (Path(tmp_path) / "data" / "codelab" / "token").stat().st_mode & 0o077 == 0

    code, out, err = codelab("run", TASK, "-w", git_repo, "--server", url, "--json")
    assert code == 3, err
    approval = events_of(out)[-1]["outcome"]["interrupts"][0]["id"]
    assert codelab("threads", "decide", approval, "approve", "--server", url)[0] == 0
    assert "first" in (git_repo / "NOTES.md").read_text()
    (thread,) = events_of(codelab("threads", "list", "--server", url, "--json")[1])
    assert "+first" in codelab("threads", "diff", thread["id"], "--server", url)[1]
    assert codelab("threads", "undo", thread["id"], "--server", url)[0] == 0

    code, _, err = codelab("run", "list files", "-w", tmp_path, "--server", url)
    assert (code, "cannot be a workspace" in err) == (2, True)
    code, _, err = codelab("threads", "list", "--server", url, "--token", "wrong")
    assert (code, "Bearer" in err) == (1, True)

    taken = codelab("serve", "--port", url.rpartition(":")[2])
    assert taken[0] == 1
    server.send_signal(signal.SIGTERM)
    assert server.wait(15) == 0
    code, _, err = codelab("threads", "list", "--server", url)
    assert (code, "does not answer" in err) == (1, True)
