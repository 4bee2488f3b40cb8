"""How risky a command is: low only looks, medium works inside the repository, high is everything else. Pure.

Deny by default: a program or an option that no table names is high.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from .commands import (
    FETCHERS,
    WRAPPERS,
    Seen,
    argvs,
    everything,
    is_interpreter,
    may_name_secret,
    positionals,
)
from .guarded import names
from .policy import Risk
from .shellwords import read_line

_ORDER: dict[Risk, int] = {"low": 0, "medium": 1, "high": 2}
Judged = tuple[Risk, str]

_LOOKERS = names(
    "ls cat head tail wc grep egrep fgrep rg pwd echo printf date which type file stat du df tree cut tr diff "
    "cmp column basename dirname realpath readlink true false test [ : sleep seq nl tac rev fold comm paste "
    "expr jq md5sum sha1sum sha256sum cksum uname whoami id hostname cd sort find strings hexdump od less "
    "more nproc exit"
)
# Options by which a program that only looks could run another one or write.
_TEETH = {
    "rg": re.compile(r"--pre(=.*)?|--hostname-bin.*"),
    "sort": re.compile(r"-[a-zA-Z]*o.*|--output.*|--compress-program.*"),
    "find": re.compile(r"-delete|-fprint.*|-fls|-exec.*|-ok.*"),
    "less": re.compile(r".*[!|].*|\+.*|-[a-zA-Z]*[oO].*"),
    "tree": re.compile(r"-o.*"),
    "date": re.compile(r"-s.*|--set.*"),
    "hostname": re.compile(r"[^-].*"),
}
_WORKERS = names(
    "pytest py.test tox nox ruff mypy black isort flake8 pylint pyright coverage tsc eslint prettier jest "
    "vitest mocha make gmake cmake ctest ninja meson gcc g++ cc c++ clang clang++ rustc rustfmt gofmt javac "
    "java kotlinc rspec rubocop phpunit shellcheck yamllint markdownlint mkdir touch cp mv rm rmdir "
    "tee truncate split chmod uniq gzip gunzip codelab"
)
_WORKER_TEETH = re.compile(r"SHELL=.*|--exec.*|--config-env.*|--launcher.*|--filter.*|--rsh.*")
_SUBCOMMANDS = {
    "cargo": names("build test check clippy fmt run doc bench tree metadata"),
    "go": names("build test vet fmt run list version env doc"),
    "npm": names("test t run run-script ls list start --version"),
    "yarn": names("test run lint build --version"),
    "pnpm": names("test run list ls --version"),
    "bun": names("test run"),
    "deno": names("test lint fmt check"),
    "dotnet": names("build test run format"),
    "mvn": names("test compile verify package"),
    "gradle": names("test build check"),
    "pip": names("list show freeze check"),
    "uv": names("run"),
    "poetry": names("run check show"),
    "pipenv": names("run"),
    "hatch": names("run test"),
    "pdm": names("run"),
    "bundle": names("exec"),
    "pre-commit": names("run"),
}
_PYTHON_MODULES = names(
    "pytest unittest doctest compileall py_compile mypy ruff black isort flake8 pylint coverage json.tool "
    "timeit pyflakes tokenize ast"
)
_QUIET_WRAPPERS = frozenset({"nice", "nohup", "timeout", "time", "stdbuf", "ionice", "command"})
_HARMLESS_NAMES = re.compile(
    r"(CI|DEBUG|VERBOSE|NO_COLOR|FORCE_COLOR|TZ|LANG|LC_\w+|COLUMNS|PYTHONPATH|PYTHONUNBUFFERED|PYTHONWARNINGS"
    r"|PYTHONHASHSEED|PYTEST_ADDOPTS|DJANGO_SETTINGS_MODULE|RUST_BACKTRACE|RUST_LOG|NODE_ENV|GOFLAGS|TEST_\w+)=.*",
    re.DOTALL,
)
_GIT_LOOKS = names(
    "status log diff show rev-parse rev-list ls-files ls-tree blame describe shortlog cat-file grep reflog "
    "name-rev merge-base show-ref for-each-ref count-objects whatchanged diff-tree diff-index check-ignore "
    "version"
)
_GIT_WORKS = names("add commit switch merge mv rm cherry-pick revert stash tag branch reset notes")
_GIT_TEETH = re.compile(
    r"--ext-diff|--textconv|--output.*|-O.*|--open-files-in-pager.*|--exec.*|-x|--upload-pack.*|--receive-pack.*"
    r"|--no-index|--hard|--merge|--keep|-[a-zA-Z]*[fD][a-zA-Z]*|--force.*|--discard-changes|-C|--template.*|--edit.*.*"
    r"|--no-verify|drop|clear|expire|delete|-[dM]|--delete|--move"
)
# Git takes any beginning of a long option that is not ambiguous.
_GIT_LONG_TEETH = names(
    "--ext-diff --textconv --output --open-files-in-pager --exec --upload-pack --receive-pack --no-index --hard "
    "--merge --keep --force --discard-changes --template --edit --no-verify --delete --move --untracked --batch "
    "--no-exclude-standard --show-signature"
)
_GIT_MESSAGES = frozenset({"-m", "--message"})
# One print, delete or quit, or one substitution with exactly three delimiters and no flag that writes or executes.
_SED_SCRIPT = re.compile(r"[0-9,$]*[pdq=]|s([^\w\s\\;])(?:(?!\1)[^\\\n]|\\.)*\1(?:(?!\1)[^\\\n]|\\.)*\1[gIip0-9]*")


def risk(command: str) -> Judged:
    """Classify a command; the reason names what decided."""
    line = read_line(command)
    if line.unsure:
        return "high", f"it cannot be read with certainty: {line.unsure}"
    if argvs(line) is None:
        return "high", "it changes what later commands mean"
    worst: Judged = ("low", "it only looks")
    for judged in (_assignments(line.commands), *(_one(seen) for seen in everything(line))):
        worst = max(worst, judged, key=lambda one: _ORDER[one[0]])
    if worst[0] == "low" and any(simple.writes for simple in line.commands):
        return "medium", "it writes a file"
    return worst


def _assignments(commands: Sequence[object]) -> Judged:
    words = [word for simple in commands for word in getattr(simple, "assignments", ())]
    odd = next((word for word in words if not _HARMLESS_NAMES.fullmatch(word)), None)
    return ("high", f"it sets {odd.partition('=')[0]}") if odd else ("low", "it only looks")


def _one(seen: Seen) -> Judged:
    name, argv = seen.name, seen.argv
    if pattern := next((word for word in argv[1:] if may_name_secret(word)), None):
        return "high", f"{pattern} could name a secret file"
    if "/" in argv[0] and not re.fullmatch(r"(/usr(/local)?)?/bin/[^/]+", argv[0]):
        return _local_program(seen)
    return _interpreter(seen) if is_interpreter(name) else _by_name(name, argv)


def _by_name(name: str, argv: Sequence[str]) -> Judged:
    if rule := _RULES.get(name):
        return rule(argv)
    tables = ((_LOOKERS, _looker), (_SUBCOMMANDS, _subcommand), (_WORKERS, _worker))
    judge = next((judge for table, judge in tables if name in table), None)
    return judge(name, argv) if judge else _other(name)


def _other(name: str) -> Judged:
    if name in FETCHERS:
        return "high", f"{name} talks to the network"
    if name in WRAPPERS:
        return ("low", "") if name in _QUIET_WRAPPERS else ("high", f"{name} runs what it is given")
    return "high", f"{name} is not a program this policy knows"


def _local_program(seen: Seen) -> Judged:
    """Judge a program named by its path: one of the repository, or of its environment."""
    if seen.argv[0].startswith("/") or ".." in seen.argv[0].split("/"):
        return "high", f"{seen.argv[0]} is a program outside the usual folders"
    if is_interpreter(seen.name):
        return _interpreter(seen)
    known = seen.name in _WORKERS or seen.name not in (*_SUBCOMMANDS, *_RULES, *WRAPPERS, *FETCHERS)
    return ("medium", f"it runs {seen.argv[0]} of the repository") if known else _one_named(seen)


def _one_named(seen: Seen) -> Judged:
    return _one(Seen((seen.name, *seen.argv[1:]), seen.simple))


def _looker(name: str, argv: Sequence[str]) -> Judged:
    teeth = _TEETH.get(name)
    bitten = next((word for word in argv[1:] if teeth and teeth.fullmatch(word)), None)
    return ("high", f"{name} {bitten} can write or run something") if bitten else ("low", "it only looks")


def _worker(name: str, argv: Sequence[str]) -> Judged:
    bitten = next((word for word in argv[1:] if _WORKER_TEETH.fullmatch(word)), None)
    if bitten:
        return "high", f"{name} {bitten} can run something else"
    if name in ("rm", "chmod") and any(
        re.fullmatch(r"-[a-zA-Z]*[rR].*|--recursive|.*[+=][a-zA-Z]*s.*", w) for w in argv[1:]
    ):
        return "high", f"{name} changes a whole folder"
    return "medium", f"it runs {name}"


def _subcommand(name: str, argv: Sequence[str]) -> Judged:
    if remote := next((word for word in argv[2:] if re.search(r"://|.@(latest|v?\d)", word)), None):
        return "high", f"it may fetch and run {remote}"
    if len(argv) > 1 and argv[1] in _SUBCOMMANDS[name]:
        return "medium", f"it runs {name} {argv[1]}"
    return "high", f"{' '.join([name, *argv[1:2]])} can install or fetch something"


def _interpreter(seen: Seen) -> Judged:
    argv = seen.argv
    if seen.simple.piped and not positionals(argv):
        return "high", f"{seen.name} runs what it is piped"
    if seen.name in ("deno", "bun") and any(re.search(r"://|^(npm|jsr):", word) for word in argv[1:]):
        return "high", f"{seen.name} may fetch and run what it is given"
    if argv[1:2] == ("-m",):
        known = argv[2:3] and argv[2] in _PYTHON_MODULES
        return ("medium", f"it runs {argv[2]}") if known else ("high", "it runs a module this policy does not know")
    if argv[1:] in (("--version",), ("-V",), ("-v",)):
        return "low", "it only looks"
    if len(argv) > 1 and not argv[1].startswith(("-", "/dev/")):
        return "medium", f"it runs the script {argv[1]}"
    return "high", f"{seen.name} runs code given in the command"


def _shortened(word: str) -> bool:
    name = word.partition("=")[0]
    return len(name) > 3 and any(tooth.startswith(name) for tooth in _GIT_LONG_TEETH)  # noqa: PLR2004 - two letters


def _sed(argv: Sequence[str]) -> Judged:
    scripts = positionals(argv)[:1]
    plain = all(word in ("-n", "-i", "-E", "-r", "-s") for word in argv[1:] if word.startswith("-"))
    if plain and all(_SED_SCRIPT.fullmatch(script) for script in scripts):
        return "medium", "it runs sed"
    return "high", "sed can write files and run commands"


def _awk(argv: Sequence[str]) -> Judged:
    options = [word for word in argv[1:] if word.startswith("-") and not re.match(r"-F", word)]
    if options or re.search(r"system|getline|[|>@]", " ".join(argv[1:])):
        return "high", "awk can write files and run commands"
    return "medium", "it runs awk"


def _git(argv: Sequence[str]) -> Judged:
    if len(argv) > 1 and argv[1] in ("--no-pager", "--version"):
        argv = [argv[0], *argv[2:]]
        if len(argv) == 1:
            return "low", "it only looks"
    verb, rest = (argv[1], list(argv[2:])) if len(argv) > 1 else ("", [])
    words = [word for at, word in enumerate(rest) if at == 0 or rest[at - 1] not in _GIT_MESSAGES]
    bitten = next((word for word in words if _GIT_TEETH.fullmatch(word) or _shortened(word)), None)
    if verb not in _GIT_LOOKS | _GIT_WORKS:
        return "high", f"git {verb} reaches beyond this repository's history or discards work"
    if bitten:
        return "high", f"git {verb} {bitten} can discard work or run something"
    listing = verb in ("branch", "tag", "stash") and (not positionals(argv[1:]) or words[:1] == ["list"])
    looks = verb in _GIT_LOOKS or (listing and verb != "stash") or words[:1] == ["list"]
    return ("low", "it only looks") if looks else ("medium", f"it changes the repository (git {verb})")


_RULES: dict[str, Callable[[Sequence[str]], Judged]] = {"git": _git, "sed": _sed, "awk": _awk, "gawk": _awk}
