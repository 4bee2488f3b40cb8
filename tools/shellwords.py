"""Reading a POSIX shell line without running it: its simple commands as argv tokens, and whether that is certain.

Conservative by construction: whatever this reader does not fully understand (an expansion, a keyword, a function, an
odd character) makes the whole line uncertain, but it reads on, so that a forbidden command is still found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .guarded import names

DEEPEST = 8
_KEYWORDS = names("if then else elif fi for while until do done case esac in select function coproc [[ ]] { } time !")
_PLAIN_KEYWORDS = frozenset({"{", "}", "time", "!"})  # understood: they only group, measure or negate
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_DIGITS = re.compile(r"[0-9]*")
_OPERATORS = ("&&", "||", ";;", ";", "|&", "|", "&", "(", ")")
_REDIRECTIONS = ("&>>", "&>", "<<<", "<<-", "<<", "<>", "<&", "<", ">>", ">|", ">&", ">")
_HARMLESS_TARGETS = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr", "/dev/stdin"})


@dataclass(slots=True)
class Simple:
    """One simple command.

    Attributes:
        argv: Program and arguments, quotes removed; empty for a bare assignment or redirection.
        assignments: `NAME=value` words before the program.
        reads: Files its input is redirected from.
        writes: Files its output is redirected to (`/dev/null` and the like left out).
        piped: Whether the command before feeds it.
        depth: How many substitutions it stands in.
        body: Text of its here-documents.
    """

    argv: list[str] = field(default_factory=list)
    assignments: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    piped: bool = False
    depth: int = 0
    body: str = ""

    @property
    def tokens(self) -> tuple[str, ...]:
        """What must match for a rule: redirections and assignments lead, so that no prefix rule overlooks them."""
        files = [f"<{path}" for path in self.reads] + [f">{path}" for path in self.writes]
        return (*files, *([f"<<{self.body}"] if self.body else []), *self.assignments, *self.argv)


@dataclass(slots=True)
class Line:
    """A command line: its simple commands, those of substitutions too, and why it is uncertain (None: it is not)."""

    commands: list[Simple] = field(default_factory=list)
    unsure: str | None = None

    def doubt(self, why: str) -> None:
        """Note the first thing that is not understood."""
        self.unsure = self.unsure or why


def read_line(text: str) -> Line:
    """Read a command line. Never raises."""
    line = Line()
    _Reader(text, line, depth=0).run()
    return line


class _Reader:
    """One pass over the text; substitutions are read by readers of their own into the same line."""

    def __init__(self, text: str, line: Line, *, depth: int) -> None:
        self._text = text
        self._line = line
        self._depth = depth
        self._at = 0
        self._now = Simple(depth=depth)
        self._heredocs: list[tuple[Simple, str, bool]] = []

    def run(self) -> None:
        if self._depth > DEEPEST:
            self._line.doubt("it is nested too deeply")
            return
        while self._at < len(self._text):
            self._step()
        self._end()
        if self._heredocs:
            self._line.doubt("a here-document has no end")

    def _step(self) -> None:
        char = self._text[self._at]
        if char == "\n":
            self._at += 1
            self._end()
            self._read_heredocs()
        elif char in " \t":
            self._at += 1
        elif self._text.startswith("\\\n", self._at):
            self._at += 2
        elif char == "#":
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end
        elif not (self._redirection() or self._operator()):
            self._add(*self._word())

    def _end(self, *, piped: bool = False) -> None:
        now = self._now
        if now.argv or now.assignments or now.reads or now.writes:
            self._line.commands.append(now)
        self._now = Simple(depth=self._depth, piped=piped)

    def _operator(self) -> bool:
        found = next((op for op in _OPERATORS if self._text.startswith(op, self._at)), None)
        if found is None:
            return False
        self._at += len(found)
        if found == ";;":
            self._line.doubt("it holds a case")
        if found == "(" and (self._now.argv or self._now.assignments):
            self._line.doubt("it defines a function or an array")
        self._end(piped=found in ("|", "|&"))
        return True

    def _redirection(self) -> bool:
        digits = _DIGITS.match(self._text, self._at)
        start = digits.end() if digits else self._at
        found = next((op for op in _REDIRECTIONS if self._text.startswith(op, start)), None)
        if found is None or (found.startswith("&") and start != self._at):
            return False
        if self._text.startswith("(", start + 1) and found in "<>":
            self._line.doubt("it holds a process substitution")
            self._at = start + 2
            self._substitution()
            return True
        self._at = start + len(found)
        while self._at < len(self._text) and self._text[self._at] in " \t":
            self._at += 1
        self._redirect(found, *self._word())
        return True

    def _redirect(self, kind: str, target: str, quoted: bool) -> None:  # noqa: FBT001 - a word is a pair
        if kind in ("<<", "<<-"):
            self._heredocs.append((self._now, target, quoted))
        elif kind == "<<<" or kind.startswith("&"):
            self._line.doubt("it redirects in a way that shells disagree on")
            if kind != "<<<":
                self._now.writes.append(target)
        elif kind in ("<&", ">&") and (target.isdigit() or target == "-"):
            return
        elif not target or (not quoted and any(c in target for c in "*?[")):
            self._line.doubt("it redirects to a name that is not plain")
        elif target not in _HARMLESS_TARGETS:
            (self._now.reads if kind in ("<", "<&") else self._now.writes).append(target)

    def _read_heredocs(self) -> None:
        for owner, mark, quoted in self._heredocs:
            lines = self._text[self._at :].split("\n")
            ends = [i for i, text in enumerate(lines) if text.lstrip("\t") == mark]
            if not ends:
                self._line.doubt("a here-document has no end")
            taken = lines[: ends[0]] if ends else lines
            owner.body += "\n".join(taken)
            self._at = min(len(self._text), self._at + sum(len(text) + 1 for text in lines[: len(taken) + 1]))
            if not quoted and any(c in owner.body for c in "$`"):
                self._line.doubt("a here-document holds an expansion")
                _Reader(f'"{owner.body}"', self._line, depth=self._depth + 1).run()
        self._heredocs = []

    def _add(self, word: str, quoted: bool) -> None:  # noqa: FBT001 - a word is a pair
        now = self._now
        if not now.argv and not quoted and word in _KEYWORDS:
            if word not in _PLAIN_KEYWORDS:
                self._line.doubt(f"it holds the keyword {word}")
        elif not now.argv and _ASSIGNMENT.match(word):
            now.assignments.append(word)
        else:
            if not now.argv and any(c in word for c in "*?[") and word != "[":
                self._line.doubt("its program is a pattern")
            now.argv.append(word)

    def _word(self) -> tuple[str, bool]:
        """Read one word: its text without quotes, and whether any of it was quoted."""
        start, out, quoted, plain = self._at, [], False, []
        while self._at < len(self._text) and (char := self._text[self._at]) not in " \t\n;|&<>()":
            if char in "'\"\\":
                quoted = True
                out.append(self._quoted(char))
                plain.append("\0")
            elif char in "$`":
                out.append(self._expansion())
                plain.append("\0")
            else:
                self._at += 1
                out.append(char)
                plain.append(char)
        if self._at == start:  # a redirection without a target, or a stray character
            self._line.doubt("it is incomplete")
            self._at += 1
        self._check_plain("".join(plain))
        return "".join(out), quoted

    def _check_plain(self, bare: str) -> None:
        if bare.startswith("~") or "=~" in bare or ":~" in bare:
            self._line.doubt("it names a home folder")
        if "{" in bare and ("," in bare or ".." in bare):
            self._line.doubt("it holds a brace expansion")
        if bare.startswith("=") and len(bare) > 1:
            self._line.doubt("it holds a shell-specific expansion")
        if any(not c.isprintable() and c != "\0" for c in bare):
            self._line.doubt("it holds a character that cannot be seen")

    def _quoted(self, quote: str) -> str:
        self._at += 1
        if quote == "\\":
            taken = self._text[self._at : self._at + 1]
            self._at += 1
            if not taken:
                self._line.doubt("it ends in a backslash")
            return "" if taken == "\n" else taken
        if quote == "'":
            end = self._text.find("'", self._at)
            if end < 0:
                self._line.doubt("a quote is not closed")
                end = len(self._text)
            taken, self._at = self._text[self._at : end], end + 1
            return taken
        return self._double()

    def _double(self) -> str:
        out: list[str] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return "".join(out)
            if char == "\\" and self._text[self._at + 1 : self._at + 2] in tuple('$`"\\\n'):
                out.append(self._text[self._at + 1].replace("\n", ""))
                self._at += 2
            elif char in "$`":
                out.append(self._expansion())
            else:
                out.append(char)
                self._at += 1
        self._line.doubt("a quote is not closed")
        return "".join(out)

    def _expansion(self) -> str:
        """Step over `$…` or a backtick; what it gives is unknown, what it runs is read."""
        start = self._at
        if self._text[start] == "`":
            end = self._text.find("`", start + 1)
            inner = self._text[start + 1 : end if end > 0 else len(self._text)]
            self._at = end + 1 if end > 0 else len(self._text)
            self._line.doubt("it holds a command substitution")
            _Reader(inner.replace("\\", ""), self._line, depth=self._depth + 1).run()
        elif self._text.startswith("$(", start):
            self._line.doubt("it holds a command substitution")
            self._at += 2
            self._substitution()
        elif re.match(r"\$[A-Za-z_0-9@*#?$!{'\"\\-]", self._text[start : start + 2]):
            self._line.doubt("it holds a variable or another expansion")
            self._at += 1
        else:  # a dollar sign that stands for itself
            self._at += 1
        return self._text[start : self._at]

    def _substitution(self) -> None:
        """Read up to the closing parenthesis; quotes inside are honoured well enough to find it."""
        start, open_, quote = self._at, 1, ""
        while self._at < len(self._text) and open_:
            char = self._text[self._at]
            if char == "\\":
                self._at += 1
            elif quote:
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            else:
                open_ += (char == "(") - (char == ")")
            self._at += 1
        inner = self._text[start : self._at - (0 if open_ else 1)]
        _Reader(inner, self._line, depth=self._depth + 1).run()
