"""Child processes that cannot outlive the tests that started them."""

import ctypes
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Account:
    """Whom a server runs as; None of these when the tests do not run as root."""

    uid: int
    gid: int


def unprivileged() -> Account | None:
    """PostgreSQL refuses to run as root: name the account to drop to. It must have a passwd entry."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise RuntimeError("running as root without a `postgres` or `nobody` account to drop to")


def before_exec(account: Account | None, death_signal: int = signal.SIGKILL) -> Callable[[], None]:
    """Drop privileges, then ask to die with the parent: setuid clears the death signal, so it comes last."""

    def prepare() -> None:
        if account is not None:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # tests started in the background of a script have it ignored
        _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)

    return prepare


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    account: Account | None = None,
    death_signal: int = signal.SIGKILL,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server whose output goes to `log`."""
    with log.open("ab") as out:
        return subprocess.Popen(
            list(argv),
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=before_exec(account, death_signal),  # noqa: PLW1509 - makes system calls only
        )


def free_port() -> int:
    """Find a TCP port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float = 30) -> None:
    """Poll until the server answers; its own words are the error when it does not."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.02)


def stop(process: subprocess.Popen[bytes], sig: int) -> None:
    """End a server and wait for it."""
    process.send_signal(sig)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
