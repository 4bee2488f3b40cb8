"""Running programs so that they never outlive their worker: a cleared environment, a time-out, bounded output."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from ..core.errors import InvalidInput, Unavailable
from .redact import redact
from .workspace import CommandResult

DEFAULT_CAP = 1_000_000
_SUPERVISOR = str(Path(__file__).with_name("supervise.py"))
_CHUNK = 1 << 16
_PR_SET_DUMPABLE = 4
_LET_GO_S = 25.0
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
# Where tool chains live; none of these carries a credential.
_PASSED = ("TZ", "TMPDIR", "JAVA_HOME", "GOROOT", "NVM_DIR", "PYENV_ROOT", "RUSTUP_HOME", "SSL_CERT_FILE")

OnStart = Callable[[int], Awaitable[None]]


class Capture:
    """Keeps the head and the tail of a stream in bounded memory and counts the rest."""

    def __init__(self, cap: int) -> None:
        self._head_room = cap // 2
        self._tail_room = cap - cap // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.dropped = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        free = self._head_room - len(self._head)
        if free > 0:
            self._head += data[:free]
            data = data[free:]
        self._tail += data
        if len(self._tail) > 2 * self._tail_room:
            self._trim()

    def _trim(self) -> None:
        over = len(self._tail) - self._tail_room
        if over > 0:
            self.dropped += over
            del self._tail[:over]

    def text(self) -> str:
        """Join what was kept, with a note where bytes are missing."""
        self._trim()
        head, tail = (bytes(part).decode("utf-8", "replace") for part in (self._head, self._tail))
        return f"{head}\n[… {self.dropped} bytes dropped …]\n{tail}" if self.dropped else head + tail


class Running:
    """The commands that run now in this process, by thread, so that one can be ended from another call."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, int]] = {}

    def add(self, thread_id: str, call_id: str, pgid: int) -> None:
        """Note a command that has started."""
        self._groups.setdefault(thread_id, {})[call_id] = pgid

    def remove(self, thread_id: str, call_id: str) -> None:
        """Forget a command that has ended; one that never started is fine."""
        calls = self._groups.get(thread_id, {})
        calls.pop(call_id, None)
        if not calls:
            self._groups.pop(thread_id, None)

    def kill(self, thread_id: str) -> int:
        """Kill every running command of a thread; how many there were."""
        groups = list(self._groups.get(thread_id, {}).values())
        for pgid in groups:
            with suppress(ProcessLookupError):
                os.killpg(pgid, signal.SIGKILL)
        return len(groups)


def keep_private() -> None:
    """Keep this process's memory and first environment from others of the same user, the agents' commands above all.

    For programs of our own, not for a library: a debugger of the same user is kept out too. Linux only.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def clean_env(home: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Build the small environment of a command: no key, no token, no setting of ours."""
    entries = os.environ.get("PATH", _DEFAULT_PATH).split(os.pathsep)
    path = os.pathsep.join(entry for entry in entries if entry.startswith("/")) or _DEFAULT_PATH
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    fixed = {
        "PATH": path,
        "HOME": home,
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": "true",
    }
    return passed | fixed | {"GIT_TERMINAL_PROMPT": "0", "PYTHONDONTWRITEBYTECODE": "1"} | dict(extra or {})


async def run_supervised(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout_s: float,
    stdin: bytes | None = None,
    on_start: OnStart | None = None,
    cap: int = DEFAULT_CAP,
) -> CommandResult:
    """Run a program under a supervisor that ends its whole process tree with it.

    The tree is killed when the program ends (what it left in the background too), when it times out, when this task
    is cancelled, and when this worker dies.

    Args:
        argv: Program and arguments.
        cwd: An existing folder.
        env: Added to the small fixed environment; `HOME` is a private folder of this run unless named here.
        timeout_s: Seconds until everything is killed.
        stdin: Bytes for the program; None gives it an empty one.
        on_start: Told the process group id once the program runs.
        cap: Bytes of output kept, half from its start and half from its end.

    Raises:
        InvalidInput: The program cannot be started.
    """
    if not argv or any("\0" in part for part in argv):
        raise InvalidInput("The command is empty or holds a NUL character; write it again.")
    home = await asyncio.to_thread(tempfile.mkdtemp, prefix="codelab-home-")
    try:
        async with _Supervised(clean_env(home, env), cwd, piped=stdin is not None) as run:
            return await run.execute(argv, stdin=stdin, timeout_s=timeout_s, on_start=on_start, capture=Capture(cap))
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, home, ignore_errors=True))


class _Supervised:
    """One supervisor and the pipes to it. Leaving the block lets go of the lifeline, and so ends whatever runs."""

    def __init__(self, env: Mapping[str, str], cwd: Path, *, piped: bool) -> None:
        self._env, self._cwd = env, cwd
        self._stdin = asyncio.subprocess.PIPE if piped else asyncio.subprocess.DEVNULL
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None
        self._lifeline: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._let_go()

    async def execute(
        self, argv: Sequence[str], *, stdin: bytes | None, timeout_s: float, on_start: OnStart | None, capture: Capture
    ) -> CommandResult:
        started = time.monotonic()
        timed_out = False
        code: int | None = None
        try:
            async with asyncio.timeout(timeout_s):
                status = await self._spawn(argv)
                process = self._running()
                await self._announce(status, on_start)
                self._drain = asyncio.create_task(_collect(process, capture))
                await _feed(process, stdin)
                code = await process.wait()
        except TimeoutError:
            timed_out = True
        await self._let_go()
        return CommandResult(
            exit_code=None if timed_out else code,
            output=await asyncio.to_thread(lambda: redact(capture.text())),
            truncated=capture.dropped,
            duration_s=time.monotonic() - started,
            timed_out=timed_out,
        )

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise Unavailable("The command's supervisor did not start; try again.")
        return self._process

    async def _spawn(self, argv: Sequence[str]) -> int:
        """Start the supervisor; the read end of its status pipe."""
        lifeline, self._lifeline = os.pipe()
        status, theirs = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", _SUPERVISOR, str(lifeline), str(theirs), *argv),
                stdin=self._stdin,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=self._cwd,
                env=self._env,
                pass_fds=(lifeline, theirs),
                start_new_session=True,
            )
        except BaseException:
            os.close(status)
            raise
        finally:
            os.close(lifeline)
            os.close(theirs)
        return status

    async def _announce(self, status: int, on_start: OnStart | None) -> None:
        """Wait until the program runs, and tell its process group."""
        line = await _read_line(status)
        if line.startswith("!"):
            raise InvalidInput(f"The command could not be started: {line[1:].strip()}.", code="command_not_started")
        if not line:
            raise Unavailable("The command's supervisor ended before the command began; try again.")
        if on_start is not None:
            await on_start(int(line))

    async def _let_go(self) -> None:
        """Close the lifeline, wait for the supervisor to end everything, and take the rest of the output."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        if self._process is not None and self._process.returncode is None:
            try:
                async with asyncio.timeout(_LET_GO_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        if self._drain is not None and not self._drain.done():
            await asyncio.wait({self._drain}, timeout=1)
            self._drain.cancel()


async def _read_line(fd: int) -> str:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", 0))
    try:
        return (await reader.read()).decode("utf-8", "replace").strip()
    finally:
        transport.close()


async def _collect(process: asyncio.subprocess.Process, capture: Capture) -> None:
    if process.stdout is not None:
        while data := await process.stdout.read(_CHUNK):
            capture.feed(data)


async def _feed(process: asyncio.subprocess.Process, data: bytes | None) -> None:
    """Give the program its input; one that does not read it is fine."""
    if process.stdin is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data or b"")
        await process.stdin.drain()
    process.stdin.close()


RUNNING = Running()
"""The commands of this process. Process groups belong to the machine, so there is one list of them."""
