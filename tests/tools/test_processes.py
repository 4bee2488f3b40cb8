"""Real processes: nothing a command started may outlive it, its time-out, its task or its worker."""

# ruff: noqa: ASYNC220
from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codelab.core.errors import InvalidInput
from codelab.tools.processes import Capture, Running, run_supervised
from codelab.tools.redact import host_secrets, redact

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans back to the supervisor")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


async def gone(*pids: int, within: float = 5) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not any(alive(pid) for pid in pids):
            return True
        await asyncio.sleep(0.02)
    return False


def sh(line: str) -> list[str]:
    return ["/bin/sh", "-c", line]


async def wait_for(path: Path, within: float = 10) -> str:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()).endswith("\n"):
            return text
        await asyncio.sleep(0.02)
    raise AssertionError(f"{path} was not written")


async def test_a_command_gives_its_code_and_both_streams_in_order(tmp_path: Path) -> None:
    result = await run_supervised(sh("echo out; echo err >&2; pwd; exit 3"), cwd=tmp_path, timeout_s=10)
    assert result.exit_code == 3
    assert result.output == f"out\nerr\n{tmp_path.resolve()}\n"
    assert not result.timed_out
    assert result.truncated == 0


async def test_input_is_given_and_closed(tmp_path: Path) -> None:
    assert (await run_supervised(["cat"], cwd=tmp_path, timeout_s=10, stdin=b"hello")).output == "hello"
    assert (await run_supervised(["cat"], cwd=tmp_path, timeout_s=10)).output == ""
    unread = await run_supervised(["true"], cwd=tmp_path, timeout_s=10, stdin=b"x" * 1_000_000)
    assert unread.exit_code == 0


async def test_the_environment_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-secret-secret")
    monkeypatch.setenv("CODELAB_SERVER__TOKEN", "very-secret-token")
    monkeypatch.setenv("LD_PRELOAD_NOT", "x")
    result = await run_supervised(["env"], cwd=tmp_path, timeout_s=10, env={"EXTRA": "1"})
    names = {line.partition("=")[0] for line in result.output.splitlines()}
    assert {"PATH", "HOME", "LANG", "TERM", "EXTRA"} <= names
    assert not {"OPENAI_API_KEY", "CODELAB_SERVER__TOKEN", "LD_PRELOAD_NOT"} & names
    home = next(line for line in result.output.splitlines() if line.startswith("HOME="))[5:]
    assert home != str(Path.home())
    assert not Path(home).exists()


async def test_a_missing_program_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"No such file.*no-such-program"):
        await run_supervised(["no-such-program"], cwd=tmp_path, timeout_s=10)
    with pytest.raises(InvalidInput, match="NUL"):
        await run_supervised(["echo", "a\0b"], cwd=tmp_path, timeout_s=10)


async def test_limits_hold_and_signals_are_default(tmp_path: Path) -> None:
    result = await run_supervised(sh("ulimit -c; ulimit -n; kill -TERM $$"), cwd=tmp_path, timeout_s=10)
    core, files = result.output.split()
    assert core == "0"
    assert int(files) <= 4096
    assert result.exit_code == 128 + signal.SIGTERM


async def test_a_time_out_kills_everything(tmp_path: Path) -> None:
    line = "trap '' TERM; sleep 600 & echo $! > child; echo begun; while :; do sleep 1; done"
    result = await run_supervised(sh(line), cwd=tmp_path, timeout_s=1)
    assert result.timed_out
    assert result.exit_code is None
    assert result.output == "begun\n"
    assert await gone(int((tmp_path / "child").read_text()))


async def test_a_cancelled_task_kills_everything(tmp_path: Path) -> None:
    groups: list[int] = []

    async def note(pgid: int) -> None:
        groups.append(pgid)

    command = run_supervised(sh("sleep 600 & echo $! > child; wait"), cwd=tmp_path, timeout_s=60, on_start=note)
    task = asyncio.create_task(command)
    child = int(await wait_for(tmp_path / "child"))
    while not groups:  # noqa: ASYNC110 - the child may be quicker than the news of its start
        await asyncio.sleep(0.01)
    assert os.getpgid(child) == groups[0]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(child, groups[0])


async def test_a_failing_on_start_kills_the_command(tmp_path: Path) -> None:
    groups: list[int] = []

    async def fail(pgid: int) -> None:
        groups.append(pgid)
        raise RuntimeError("journal down")

    with pytest.raises(RuntimeError, match="journal down"):
        await run_supervised(["sleep", "600"], cwd=tmp_path, timeout_s=60, on_start=fail)
    assert await gone(groups[0])


@linux
async def test_what_is_left_in_the_background_ends_with_the_command(tmp_path: Path) -> None:
    line = "setsid sleep 600 & echo $! > a; (nohup setsid sleep 600 >/dev/null 2>&1 & echo $! > b); echo done"
    result = await run_supervised(sh(line), cwd=tmp_path, timeout_s=30)
    assert result.output == "done\n"
    assert await gone(*(int((tmp_path / name).read_text()) for name in "ab"))


async def test_a_flood_stays_bounded_and_keeps_head_and_tail(tmp_path: Path) -> None:
    line = "echo first; yes 0123456789abcdef | head -c 100000000; echo last"
    result = await run_supervised(sh(line), cwd=tmp_path, timeout_s=60, cap=10_000)
    assert result.output.startswith("first\n")
    assert result.output.endswith("last\n")
    assert len(result.output) < 10_200
    assert result.truncated == 100_000_000 + len("first\nlast\n") - 10_000


WORKER = """
import asyncio, sys
from pathlib import Path
from codelab.tools.processes import run_supervised
line = "sleep 600 & echo $! > a; setsid sleep 600 & echo $! > b; " \\
       "(nohup setsid sh -c 'trap \\"\\" TERM HUP; sleep 600; sleep 600' >/dev/null 2>&1 & echo $! > c); " \\
       "echo $$ > ready; wait"
asyncio.run(run_supervised(["/bin/sh", "-c", line], cwd=Path(sys.argv[1]), timeout_s=600))
"""


@linux
async def test_kill_9_of_the_worker_kills_grandchildren(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)])
    try:
        main = int(await wait_for(tmp_path / "ready"))
        pids = [main, *(int((tmp_path / name).read_text()) for name in "abc")]
        assert all(alive(pid) for pid in pids)
    finally:
        worker.kill()
        worker.wait()
    assert await gone(*pids)


async def test_a_running_command_of_a_thread_can_be_killed(tmp_path: Path) -> None:
    running = Running()

    async def note(pgid: int) -> None:
        running.add("t1", "c1", pgid)

    task = asyncio.create_task(
        run_supervised(sh("touch up; echo > go; sleep 600"), cwd=tmp_path, timeout_s=60, on_start=note)
    )
    await wait_for(tmp_path / "go")
    assert running.kill("other") == 0
    assert running.kill("t1") == 1
    assert (await task).exit_code == 128 + signal.SIGKILL
    running.remove("t1", "c1")
    running.remove("t1", "c1")
    assert running.kill("t1") == 0


def test_capture_below_its_cap_drops_nothing() -> None:
    capture = Capture(10)
    capture.feed(b"0123")
    capture.feed(b"456789")
    assert (capture.text(), capture.dropped) == ("0123456789", 0)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("key sk-abcdefghijklmnopqrst end", "sk-abcdefghijklmnopqrst"),
        ("ghp_" + "a" * 36, "ghp_"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "abc"),
        ("postgresql://user:hunter22@db/x", "hunter22"),
        ("the value correct-horse-battery", "correct-horse"),
    ],
)
def test_secrets_are_redacted(text: str, hidden: str) -> None:
    shown = redact(text, ["correct-horse-battery"])
    assert hidden not in shown
    assert "[redacted]" in shown


def test_only_secret_looking_variables_count() -> None:
    env = {"API_KEY": "12345678", "SHORT_KEY": "123", "PATH": "/usr/bin:/bin", "KEY_FILE": "/etc/key-file",
           "DATABASE_URL": "postgresql://u:longpassword@h/d", "HOME_URL": "http://example.org"}  # fmt: skip
    assert host_secrets(env) == ("postgresql://u:longpassword@h/d", "12345678")
