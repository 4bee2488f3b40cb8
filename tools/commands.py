"""The command policy, by argv tokens: what a line would run, and what may never run. Pure.

A path or command rule is no sandbox; it keeps a person from being asked about the absurd and from approving it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .guarded import is_secret, names
from .shellwords import Line, Simple, read_line

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "csh", "tcsh"})
FETCHERS = frozenset({"curl", "wget", "fetch", "aria2c", "http", "https", "lynx"})
_INTERPRETERS = re.compile(r"(python|pypy|perl|ruby|node|php|lua|deno|bun)[0-9.]*")
# Built-ins that change what later words mean: nothing after them is certain.
_SHIFTING = names(". source eval alias unalias exec builtin enable hash trap declare typeset local readonly")
# Wrappers and the letters of their options that take a value.
WRAPPERS = {"env": "uC", "nice": "n", "nohup": "", "timeout": "ks", "time": "fo", "stdbuf": "ioe", "ionice": "cnp"}
WRAPPERS |= {
    "setsid": "",
    "command": "",
    "exec": "a",
    "builtin": "",
    "xargs": "IiLnPsdEa",
    "watch": "nd",
    "busybox": "",
}
_RUNNERS = {"uv": "run", "poetry": "run", "pipenv": "run", "hatch": "run", "pdm": "run", "bundle": "exec"}
_MOST_WRAPPED = 12
_TOO_DEEP = ("(wrapped too deeply)",)
_EXEC = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_SECRET_SAMPLES = (".env", ".env.local", "id_rsa", "id_ed25519", "server.pem", "server.key", ".netrc", ".npmrc", ".ssh")
_TALKERS = frozenset({"echo", "printf"})
_PATTERN_GIVEN = re.compile(r"-[a-zA-Z]*[ef]|--(regexp|file|expression)")
_GLOB_GIVEN = frozenset({"-g", "--glob", "--iglob"})  # what follows selects files, it is not the pattern
_SEARCHERS = frozenset({"grep", "egrep", "fgrep", "rg", "ag", "ack", "sed", "awk"})

_ADMIN = names(
    "sudo doas su pkexec runuser shutdown reboot halt poweroff init telinit systemctl launchctl mount umount "
    "insmod modprobe rmmod fdisk sfdisk parted wipefs swapoff swapon kexec chroot nsenter iptables ip6tables "
    "nft ufw useradd usermod userdel groupadd passwd chpasswd visudo crontab at batch setcap sysctl diskutil "
    "shred"
)
_FORK_BOMB = re.compile(r"(?<![\w:])([\w:]{1,64})\s{0,9}\(\s{0,9}\)\s{0,9}\{[^}|]{0,200}\|[^}&]{0,200}&")
_FORBIDDEN_TEXT = (
    (re.compile(r"/dev/(tcp|udp)/"), "it opens a network connection behind the shell"),
    (re.compile(r"/proc/[^/\s]+/(environ|mem|maps)"), "it reads the memory or environment of processes"),
    (re.compile(r"--no-preserve-root"), "it would delete the whole system"),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One program a line would run: its argv, and the simple command it stands in."""

    argv: tuple[str, ...]
    simple: Simple

    @property
    def name(self) -> str:
        """The program without its folder."""
        return program(self.argv)


def program(argv: Sequence[str]) -> str:
    """Name the program of an argv, without its folder and deaf to case."""
    return argv[0].rpartition("/")[2].casefold() if argv else ""


def is_interpreter(name: str) -> bool:
    """Whether a program runs the text it is given."""
    return name in SHELLS or bool(_INTERPRETERS.fullmatch(name))


def positionals(argv: Sequence[str]) -> list[str]:
    """List the words after the program that are no options."""
    found: list[str] = []
    rest = iter(argv[1:])
    for word in rest:
        if word == "--":
            return [*found, *rest]
        if not word.startswith("-") or word == "-":
            found.append(word)
    return found


def everything(line: Line, *, depth: int = 0) -> Iterator[Seen]:
    """Walk all programs of a line, those inside wrappers and inside `sh -c` included."""
    for simple in line.commands:
        if simple.argv:
            yield from _unwrapped(Seen(tuple(simple.argv), simple), depth)


def _unwrapped(seen: Seen, depth: int) -> Iterator[Seen]:
    if depth > _MOST_WRAPPED:
        seen = Seen(_TOO_DEEP, seen.simple)
    yield seen
    if seen.argv is _TOO_DEEP:
        return
    for inner in _inner_argvs(seen.argv):
        yield from _unwrapped(Seen(inner, seen.simple), depth + 1)
    for text in _inner_texts(seen):
        yield from everything(read_line(text), depth=depth + 1)


def _inner_argvs(argv: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    name = program(argv)
    if name in WRAPPERS:
        inner = _after_options(argv, WRAPPERS[name])
        if name == "timeout":
            inner = inner[1:]
        if inner:
            yield inner
    elif argv[1:2] == (_RUNNERS.get(name),) and (inner := _after_options(argv[1:], "")):
        yield inner
    elif name == "find":
        for at in (i for i, word in enumerate(argv) if word in _EXEC):
            stop = next((i for i in range(at + 1, len(argv)) if argv[i] in (";", "+")), len(argv))
            if argv[at + 1 : stop]:
                yield argv[at + 1 : stop]


def _after_options(argv: tuple[str, ...], valued: str) -> tuple[str, ...]:
    at = 1
    while at < len(argv) and (argv[at].startswith("-") or re.match(r"[A-Za-z_]\w*=", argv[at])):
        if argv[at] == "--":
            return argv[at + 1 :]
        at += 2 if len(argv[at]) == 2 and argv[at][1] in valued else 1  # noqa: PLR2004 - a dash and a letter
    return argv[at:]


def _inner_texts(seen: Seen) -> Iterator[str]:
    argv, name = seen.argv, seen.name
    if name == "eval":
        yield " ".join(argv[1:])
    elif name == "env" and (split := [i for i, word in enumerate(argv) if word in ("-S", "--split-string")]):
        yield " ".join(argv[split[0] + 1 :])
    elif name in SHELLS:
        if any(re.fullmatch(r"-[a-z]*c[a-z]*", word) for word in argv[1:]):
            yield next((word for word in argv[1:] if word[:1] not in "-+"), "")
        yield seen.simple.body


def argvs(line: Line) -> tuple[tuple[str, ...], ...] | None:
    """Give the simple commands as tokens that rules can match; None when the line is not understood with certainty."""
    if line.unsure or any(program(simple.argv) in _SHIFTING for simple in line.commands):
        return None
    return tuple(simple.tokens for simple in line.commands)


def denied(command: str) -> str | None:
    """Tell why a command may never run, or None. What is not understood is searched too."""
    for pattern, reason in _FORBIDDEN_TEXT:
        if pattern.search(command):
            return reason
    if (bomb := _FORK_BOMB.search(command)) and command.count(bomb[1]) > 2:  # noqa: PLR2004 - defined, twice called
        return "it multiplies itself without end"
    readings = {command, command.replace("\\\n", "")}  # a continued line can split what the reader looks for
    return next((why for text in readings if (why := _denied_line(read_line(text)))), None)


def _denied_line(line: Line) -> str | None:
    seen = list(everything(line))
    return _denied_shape(seen) or next((why for one in seen if (why := _denied_program(one))), None) or _secrets(line)


def _denied_shape(seen: Sequence[Seen]) -> str | None:
    """Code from the network into an interpreter: `curl … | sh`, `sh -c "$(curl …)"`, `bash <(curl …)`."""
    fetched = any(one.name in FETCHERS for one in seen)
    takes_code = any(is_interpreter(one.name) and (one.simple.piped or one.name in SHELLS) for one in seen)
    evaluates = any(one.name in ("eval", "source", ".") for one in seen)
    return "it runs code straight from the network" if fetched and (takes_code or evaluates) else None


def _denied_program(seen: Seen) -> str | None:
    if seen.argv is _TOO_DEEP:
        return "it is wrapped too deeply to be read"
    if seen.name in _ADMIN or seen.name.startswith(("mkfs", "newfs")):
        return f"{seen.name} administers the machine"
    for target in seen.simple.writes:
        if target.startswith("/dev/"):
            return f"it writes to the device {target}"
    rule = _RULES.get(seen.name)
    return rule(seen.argv) if rule else None


def _is_root_like(path: str) -> bool:
    trimmed = re.sub(r"/+", "/", path).rstrip("/*.") or "/"
    if path.startswith("/"):
        return trimmed.count("/") <= 2 or ".." in path.split("/")  # noqa: PLR2004 - /usr/lib, /home/anna
    return path.startswith(("~", "$HOME", "${HOME")) or set(path.split("/")) <= {"..", ".", "*", ""}


def _recursive(argv: Sequence[str]) -> bool:
    return any(re.fullmatch(r"-[a-zA-Z]*[rR][a-zA-Z]*|--recursive", word) for word in argv[1:])


def _rm(argv: Sequence[str]) -> str | None:
    if _recursive(argv) and any(_is_root_like(word) for word in positionals(argv)):
        return "it would delete a folder of the system or a home folder"
    return None


def _ownership(argv: Sequence[str]) -> str | None:
    if _recursive(argv) and any(_is_root_like(word) for word in positionals(argv)[1:]):
        return "it would change the rights of the whole system"
    return None


def _dd(argv: Sequence[str]) -> str | None:
    return "it writes to a device" if any(word.startswith("of=/dev/") for word in argv) else None


def _find(argv: Sequence[str]) -> str | None:
    if "-delete" in argv and any(_is_root_like(word) for word in positionals(argv)[:1]):
        return "it would delete a folder of the system or a home folder"
    return None


def _kill(argv: Sequence[str]) -> str | None:
    return "it would end every process" if len(argv) > 2 and argv[-1] in ("-1", "1") else None  # noqa: PLR2004


def _git(argv: Sequence[str]) -> str | None:
    if "push" not in argv:
        return None
    rest = argv[argv.index("push") + 1 :]
    forced = any(re.fullmatch(r"-[a-z]*[fd][a-z]*|--force.*|--mirror|--delete|--prune|[+:].+", word) for word in rest)
    return "it would overwrite or delete what others pushed" if forced else None


def _tee(argv: Sequence[str]) -> str | None:
    return "it writes to a device" if any(word.startswith("/dev/") and word != "/dev/null" for word in argv) else None


_RULES: dict[str, Callable[[Sequence[str]], str | None]] = {
    "rm": _rm,
    "chmod": _ownership,
    "chown": _ownership,
    "chgrp": _ownership,
    "dd": _dd,
    "find": _find,
    "kill": _kill,
    "git": _git,
    "tee": _tee,
    "cp": _tee,
}


def _secrets(line: Line) -> str | None:
    """Tell which secret file a line names, in an argument, an option's value, a redirection or inline code."""
    for seen in everything(line):
        words = [*file_words(seen), *seen.simple.reads, *seen.simple.writes, *seen.simple.body.split()]
        for word in words:
            if found := next((part for part in spellings(word) if is_secret(part)), None):
                return f"{found} is secret"
    bare = (path for simple in line.commands if not simple.argv for path in (*simple.reads, *simple.writes))
    return next((f"{path} is secret" for path in bare if is_secret(path)), None)


def file_words(seen: Seen) -> list[str]:
    """List the words that can name a file: not what is printed, not a search pattern, not a commit message."""
    if seen.name in _TALKERS:
        return []
    words = list(seen.argv[1:])
    given = any(_PATTERN_GIVEN.match(word) for word in words)  # then no plain word is the pattern
    if seen.name in _SEARCHERS and not given and (found := positionals(seen.argv)):
        pattern = words.index(found[0])
        if pattern == 0 or words[pattern - 1] not in _GLOB_GIVEN:
            del words[pattern]
    if seen.name == "git" and "-m" in words[:-1]:
        del words[words.index("-m") + 1]
    if is_interpreter(seen.name) and any(word in ("-c", "-e", "--eval", "-p", "-r") for word in words):
        words += [piece for word in words for piece in re.findall(r"[\w./~-]+", word)]
    return words


def spellings(word: str) -> Iterator[str]:
    """Give what a word could name: itself, an option's value, the path after a revision or a host, an `@file`."""
    yield word
    for mark in ("=", ":", "@"):
        if mark in word:
            yield word.partition(mark)[2]
    if re.match(r"-[A-Za-z]\S", word):
        yield word[2:]


def may_name_secret(word: str) -> bool:
    """Whether a pattern could expand to a secret file."""
    last = word.rpartition("/")[2]
    if not any(char in last for char in "*?[") or last in ("*", "*.*"):
        return False
    return any(
        fnmatch.fnmatch(sample, last) and not (sample[0] == "." and last[0] != ".") for sample in _SECRET_SAMPLES
    )
