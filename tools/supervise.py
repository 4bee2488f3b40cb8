"""Stands between a worker and one command, so that the command never outlives the worker.

Started as `python -I -S supervise.py LIFELINE STATUS PROGRAM [ARG…]`. LIFELINE is the read end of a pipe whose write
end only the worker holds: end of file there means that the worker closed it (time-out, cancel) or died (kill -9), and
then every descendant of the command is killed. STATUS receives one line: the process group id once the program runs,
or `! reason` when it could not be started. The exit code is the program's, 128 + n after signal n.

Standard library only, no import of the package: it starts in a few milliseconds and works in a cleared environment.
"""

import ctypes
import os
import resource
import select
import signal
import sys
import time

GRACE_S = 0.5
GIVE_UP_S = 20.0
NOT_FOUND, NOT_STARTED = 127, 126
LIMITS = ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 4096), (resource.RLIMIT_FSIZE, 4 << 30))
MOST_NEW = 4096  # processes and threads: a fork bomb ends here, a parallel build does not
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_RESET = (*_IGNORED, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)


def _prctl(option: int, value: int) -> None:
    """Ask the Linux kernel; elsewhere nothing happens and the process table alone finds the descendants."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _room_for_processes() -> int:
    """Allow so many more than there are threads now: the kernel counts all of a user's, ours and the person's too."""
    try:
        with open("/proc/loadavg", "rb") as load:  # noqa: PTH123 - pathlib costs start-up time
            return int(load.read().split()[3].partition(b"/")[2]) + MOST_NEW
    except (OSError, ValueError, IndexError):
        return resource.RLIM_INFINITY  # not Linux: the person's own limit holds


def _limit() -> None:
    for what, soft in (*LIMITS, (resource.RLIMIT_NPROC, _room_for_processes())):
        hard = resource.getrlimit(what)[1]
        bound = min((limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY), default=hard)
        resource.setrlimit(what, (bound, bound))


def _become(argv: list[str], ready: int) -> None:
    """In the child: turn into the program, in a session of its own. Reports on `ready` what kept it from that."""
    code = NOT_STARTED
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in _RESET:
            signal.signal(number, signal.SIG_DFL)
        _limit()
        os.execvp(argv[0], argv)  # noqa: S606 - running the program it was given is this script's purpose
    except OSError as exc:
        code = NOT_FOUND if isinstance(exc, FileNotFoundError) else NOT_STARTED
        os.write(ready, f"{exc.strerror}: {argv[0]}".encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _start(argv: list[str]) -> tuple[int, str]:
    """Fork the program; its process id and, if the exec failed, the reason."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(argv, theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:  # closed by a successful exec
        return pid, pipe.read().decode("utf-8", "replace")


def _parents() -> dict[int, int]:
    """Every living process and its parent."""
    if sys.platform != "linux":
        with os.popen("/bin/ps -axo pid=,ppid=") as table:  # noqa: S605 - a fixed line; subprocess costs start-up time
            return {int(pid): int(parent) for pid, parent in map(str.split, table)}
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - pathlib costs start-up time
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123 - as above
                state, parent = stat.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue  # gone meanwhile
        if state not in (b"Z", b"X"):
            parents[int(name)] = int(parent)
    return parents


def _descendants() -> list[int]:
    """Find all processes below this one; on Linux orphans come back to it, whatever session they made."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents().items():
        children.setdefault(parent, []).append(pid)
    found = list(children.get(os.getpid(), ()))
    for pid in found:  # grows while it is walked
        found.extend(children.get(pid, ()))
    return found


def _send(number: int, pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            continue  # gone, or no longer ours to signal


def _reap(exits: dict[int, int]) -> bool:
    """Collect what has ended, adopted orphans too; tell whether any child is left."""
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            exits[ended[0]] = os.waitstatus_to_exitcode(ended[1])
    except ChildProcessError:
        return False
    return True


def _end_all(group: int, exits: dict[int, int]) -> None:
    """Ask every descendant to end, then kill what is left, again until a look finds none."""
    if not _reap(exits):
        return  # without a child there is no descendant
    started = time.monotonic()
    _send(signal.SIGTERM, _descendants())
    while (left := _descendants()) and (waited := time.monotonic() - started) < GIVE_UP_S:
        if waited > GRACE_S:
            _send(signal.SIGSTOP, left)  # so that none of them forks while the others die
            _send(signal.SIGKILL, left)
        _reap(exits)
        time.sleep(0.005)
    if group not in exits:
        _send(signal.SIGKILL, [-group])
    _reap(exits)


def _watch(lifeline: int, group: int, exits: dict[int, int]) -> None:
    """Return once the program has ended or the worker has let go."""
    wake, alarm = os.pipe()
    for fd in (wake, alarm):
        os.set_blocking(fd, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    _reap(exits)
    while group not in exits:
        readable = select.select([lifeline, wake], [], [])[0]
        if lifeline in readable:
            return
        os.read(wake, 4096)
        _reap(exits)


def main(argv: list[str]) -> int:
    """Run the program to its end, or to the worker's."""
    lifeline, status = int(argv[0]), int(argv[1])
    for fd in (lifeline, status):
        os.set_inheritable(fd, False)  # noqa: FBT003 - positional only
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    group, problem = _start(argv[2:])
    os.write(status, f"! {problem}\n".encode() if problem else f"{group}\n".encode())
    os.close(status)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):  # the program alone holds the pipes
        os.dup2(nowhere, fd)
    exits: dict[int, int] = {}
    _watch(lifeline, group, exits)
    _end_all(group, exits)
    code = exits.get(group, -signal.SIGKILL)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
