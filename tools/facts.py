"""Finding out what a tool call would touch: the I/O that the policy itself must not do."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel

from ..core.errors import CodeLabError, InvalidInput
from ..core.types import ToolGroup
from .commands import Seen, argvs, everything, file_words, positionals, spellings
from .guarded import is_secret
from .mutators import descends, written_words
from .policy import CallFacts
from .registry import BUILT_ELSEWHERE, REGISTRY
from .shellwords import Line, read_line
from .spec import ToolSpec
from .workspace import Workspace

_MOST_WORDS = 200
_DEEPEST = 40
_MOST_FOLDERS = 8
_MOST_ENTRIES = 2000
_PATTERN = re.compile(r"[*?\[]")
_STREAM = re.compile(r"/dev/(null|stdin|stdout|stderr|tty)")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://(?!(.*/)?\.\.(/|$))", re.IGNORECASE | re.DOTALL)  # `x://../y` climbs: a path
_BAD_INPUT = (CodeLabError, OSError, ValueError, TypeError, KeyError, AttributeError)


async def gather(name: str, args: Mapping[str, Any], workspace: Workspace) -> CallFacts:
    """Resolve everything a call names. Never raises for bad input: `refused` says what is wrong with it."""
    if _is_deep(args):
        return CallFacts(name, known=True, group=ToolGroup.FLOW, refused=f"the arguments nest deeper than {_DEEPEST}")
    if name in BUILT_ELSEWHERE:
        return CallFacts(name, known=True, group=BUILT_ELSEWHERE[name])
    spec = REGISTRY.get(name)
    if spec is None:
        return CallFacts(name, known=False, group=None)
    try:
        return await _known(spec, args, workspace)
    except _BAD_INPUT as exc:
        return CallFacts(name, known=True, group=spec.group, refused=_sentence(exc))


def _is_deep(args: Any) -> bool:
    """Whether arguments nest so deep that whatever reads them later, by recursion, would fail."""
    layer = [args]
    for _ in range(_DEEPEST):
        layer = [inner for value in layer for inner in _inside(value)]
        if not layer:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


async def _known(spec: ToolSpec, args: Mapping[str, Any], workspace: Workspace) -> CallFacts:
    _validate(spec, args)
    touched = spec.touches(args)
    facts = CallFacts(
        spec.name,
        known=True,
        group=spec.group_of(args),
        action=spec.action(args),
        reads=await _all_real(touched.reads, workspace),
        writes=await _all_real(touched.writes, workspace),
    )
    command = args.get("command") if spec.group is ToolGroup.EXECUTE else None
    return facts if command is None else await _with_command(facts, command, workspace)


def _validate(spec: ToolSpec, args: Mapping[str, Any]) -> None:
    schema = spec.tool.tool_call_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        schema.model_validate(dict(args))


def _sentence(exc: Exception) -> str:
    if isinstance(exc, CodeLabError):
        return exc.message
    errors = getattr(exc, "errors", None)
    if callable(errors):
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in errors()]
        return f"the arguments do not fit: {'; '.join(wrong)}"
    return f"the arguments cannot be used: {exc}"


async def _all_real(paths: Iterable[str], workspace: Workspace) -> tuple[str, ...]:
    found: list[str] = []
    for path in paths:
        found.extend(await _real(path, workspace))
    return tuple(dict.fromkeys(found))


async def _real(path: str, workspace: Workspace) -> tuple[str, ...]:
    """Give the real path and, where a symlink makes it differ, the one that was named."""
    real = (await workspace.locate(path)).path
    named = posixpath.normpath(path)
    if named.startswith(("/", "..")):  # spelled from elsewhere, yet inside: the real path alone speaks
        return (real,)
    return (real,) if named == real else (real, named)


async def _with_command(facts: CallFacts, command: str, workspace: Workspace) -> CallFacts:
    line = read_line(command)
    named = _Named(workspace, folders=[facts.reads[0] if facts.reads else "."])
    for seen in everything(line):
        await named.take(seen)
    await named.bare(line)
    return replace(
        facts,
        command=command,
        argvs=argvs(line),
        reads=(*facts.reads, *dict.fromkeys(named.reads)),
        writes=tuple(dict.fromkeys(named.writes)),
        outside=tuple(dict.fromkeys(named.outside)),
    )


def _not_a_file(word: str) -> bool:
    return bool(_STREAM.fullmatch(word) or _URL.match(word))


@dataclass
class _Named:
    """The paths of a command line. After a `cd` a relative path is tried below every folder it could mean."""

    workspace: Workspace
    folders: list[str]
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    words: int = 0

    async def take(self, seen: Seen) -> None:
        """Resolve one program's words."""
        written, deep = written_words(seen.argv), descends(seen.argv)
        for word in written:
            await self._write(word)
        named = [word for word in file_words(seen) if word not in written]
        if deep and all(word.startswith("-") for word in named):
            named.append(".")  # it descends from where it runs
        for word in named:
            await self._read(word, deep=deep)
        if seen.name in ("cd", "pushd"):
            self._enter(positionals(seen.argv))

    async def bare(self, line: Line) -> None:
        """Resolve the redirections of every simple command."""
        for simple in line.commands:
            for word in simple.writes:
                await self._write(word)
            for word in simple.reads:
                await self._read(word)

    def _enter(self, target: list[str]) -> None:
        inner = [posixpath.join(folder, target[0]) for folder in self.folders] if target else []
        if not inner or target[0] == "-" or len(self.folders) + len(inner) > _MOST_FOLDERS:
            self.outside.append("a folder that cannot be told in advance")
        else:
            self.folders.extend(inner)

    async def _candidates(self, word: str) -> list[str]:
        """Give the paths a word may mean: below every folder, patterns expanded."""
        named = [posixpath.join(folder, word) for folder in self.folders]  # each holds a slash
        if not _PATTERN.search(word):
            return named
        return [path for pattern in named for path in await self._expanded(pattern)]

    async def _expanded(self, pattern: str) -> list[str]:
        folder, _, last = pattern.rpartition("/")
        if _PATTERN.search(folder) or "[" in last:  # shells disagree on sets
            self.outside.append(f"what {pattern} expands to")
            return []
        try:
            entries, left_out = await self.workspace.list(folder or pattern[:1], recursive=False, limit=_MOST_WORDS)
        except (OSError, CodeLabError):
            return [pattern]
        if left_out:
            self.outside.append(f"what {pattern} expands to")
        found = [
            name for name in (posixpath.basename(entry.rstrip("/")) for entry in entries) if fnmatchcase(name, last)
        ]
        return [posixpath.join(folder, name) for name in found] or [pattern]

    async def _write(self, word: str) -> None:
        if _STREAM.fullmatch(word):  # a URL is none: a shell writes to the file of that name
            return
        for path in await self._candidates(word):
            try:
                self.writes.extend(await _real(path, self.workspace))
            except InvalidInput as exc:
                raise InvalidInput(f"the command writes {word!r}, and {exc.message}", code="path_refused") from exc

    async def _read(self, word: str, *, deep: bool = False) -> None:
        self.words += 1
        if self.words > _MOST_WORDS:
            self.outside.append("more files than can be checked")
            return
        for part in () if _not_a_file(word) else spellings(word):
            if part and not _not_a_file(part):
                for path in await self._candidates(part):
                    await self._look(path, part, deep=deep)

    async def _look(self, path: str, word: str, *, deep: bool) -> None:
        try:
            where = await self.workspace.locate(path)
        except InvalidInput:
            self.outside.append(f"{word}, outside the workspace")
            return
        if where.exists or is_secret(where.path):
            self.reads.append(where.path)
        if deep and where.is_dir and await self._holds_secrets(where.path):
            self.outside.append(f"{word}, a folder that holds secrets")

    async def _holds_secrets(self, path: str) -> bool:
        entries, left_out = await self.workspace.list(path, recursive=False, limit=_MOST_ENTRIES)
        return bool(left_out) or any(is_secret(entry) for entry in entries)
