"""What a vector does not see: two questions that read alike and ask for different things.

It would rather take two wordings of one question for two questions than the other way round: that costs one answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from .words import ASKED, DIRECTIONS, FILLERS, NEGATIONS, NUMBERS, SYNONYMS

_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")
_QUOTED: Final = re.compile(r"`([^`]+)`|\"([^\"]+)\"|«([^»]+)»|“([^”]+)”|(?<!\w)'([^']+)'(?!\w)")
_IDENTIFIER: Final = re.compile(
    r"(?<![\w-])--?[A-Za-z][\w-]*"  # --flag
    r"|[\w~.-]*/[\w./-]+"  # a/path
    r"|\b\w+(?:\.\w+)+\b"  # module.name, file.ext
    r"|\b[A-Za-z]+_\w+|\b_\w+"  # snake_case
    r"|\b[a-z]+[A-Z]\w*|\b[A-Z][a-z0-9]+[A-Z]\w*"  # camelCase
    r"|\b[A-Z][A-Z0-9]+\b"  # TCP
    r"|\b[A-Za-z]+\+\+|\b[A-Za-z]#"  # C++, C#
    r"|\b[A-Za-z]+\d\w*"  # utf8
)
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_SENTENCE: Final = re.compile(r"(?:^|[.!?:;]\s+|\n)\W*")
_CYRILLIC: Final = re.compile(r"[а-яё]", re.IGNORECASE)
_LATIN: Final = re.compile(r"[a-z]", re.IGNORECASE)
_SHORTEST: Final = 3
_SHORTEST_RUSSIAN: Final = 4
_RUSSIAN_ENDINGS: Final = "аеиоуыэюяйьмхг"
_SAME: Final = 0.75
"""Answers that share so much of their words say the same, if the guard agrees."""


class Marks(NamedTuple):
    """What must agree."""

    numbers: Counter[str]
    negations: int
    asked: frozenset[str]
    identifiers: frozenset[str]
    quoted: frozenset[str]
    russian: bool
    names: frozenset[str]
    words: frozenset[str]
    content: frozenset[str]
    directions: dict[str, frozenset[str]]


def agree(one: str, other: str) -> bool:
    """Whether nothing tells two questions apart."""
    a, b = marks(one), marks(other)
    return (
        a.numbers == b.numbers
        and a.negations == b.negations
        and a.asked == b.asked
        and a.identifiers == b.identifiers
        and a.quoted == b.quoted
        and a.russian == b.russian
        and a.names <= b.words
        and b.names <= a.words
        and not _swapped(a.content, b.content)
        and all(a.directions[word] == b.directions[word] for word in a.directions.keys() & b.directions.keys())
    )


def same_answer(one: str, other: str) -> bool:
    """Whether two answers say the same, as far as words tell."""
    a, b = marks(one), marks(other)
    if a.words == b.words and a.numbers == b.numbers:
        return True
    if a.numbers != b.numbers or a.negations != b.negations or a.identifiers != b.identifiers:
        return False
    together = len(a.content) + len(b.content)
    return bool(together) and 2 * len(a.content & b.content) / together >= _SAME


@lru_cache(maxsize=512)
def marks(text: str) -> Marks:
    """Read what must agree off a text."""
    words = [_plain(word) for word in _WORD.findall(text)]
    content = [word for word in words if word not in FILLERS | NEGATIONS | ASKED]
    return Marks(
        numbers=Counter(_numbers(text, words)),
        negations=sum(word in NEGATIONS for word in words),
        asked=frozenset(words) & ASKED,
        identifiers=frozenset(_IDENTIFIER.findall(text)),
        quoted=frozenset(part for match in _QUOTED.findall(text) for part in match if part),
        russian=len(_CYRILLIC.findall(text)) > len(_LATIN.findall(text)),
        names=frozenset(_names(text)),
        words=frozenset(map(_stem, words)),
        content=frozenset(_stem(word) for word in content if word not in DIRECTIONS),
        directions=_directions(words),
    )


def _swapped(a: frozenset[str], b: frozenset[str]) -> bool:
    """Whether one word stands for another, or one question says more: `undo a commit`, `undo a merge`."""
    ours, theirs = a - b, b - a
    if not ours or not theirs:
        return bool(ours or theirs)
    return len(ours) == len(theirs) == 1 and not _mean_the_same(next(iter(ours)), next(iter(theirs)))


def _mean_the_same(one: str, other: str) -> bool:
    return any({one, other} <= group for group in _SYNONYM_STEMS)


def _numbers(text: str, words: Iterable[str]) -> list[str]:
    return [n.replace(",", ".") for n in _NUMBER.findall(text)] + [NUMBERS[word] for word in words if word in NUMBERS]


def _names(text: str) -> Iterable[str]:
    """Give the stems of words with a capital that no sentence gave them."""
    starts = {match.end() for match in _SENTENCE.finditer(text)}
    for match in _WORD.finditer(text):
        word = match[0]
        if word[0].isupper() and match.start() not in starts and len(word) > 1:
            yield _stem(_plain(word))


def _directions(words: list[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for place, word in enumerate(words):
        if word in DIRECTIONS:
            after = next((w for w in words[place + 1 :] if w not in FILLERS), "")
            found.setdefault(word, set()).add(_stem(after))
    return {word: frozenset(after) for word, after in found.items()}


def _plain(word: str) -> str:
    word = word.casefold().replace("’", "'").replace("ё", "е")
    return word if word in NEGATIONS else word.partition("'")[0]


def _stem(word: str) -> str:
    """Cut endings off: `files` and `file`, `Франции` and `Франция` are one."""
    if _CYRILLIC.search(word):
        word = word.removesuffix("ся").removesuffix("сь")
        while len(word) > _SHORTEST_RUSSIAN and word[-1] in _RUSSIAN_ENDINGS:
            word = word[:-1]
        return word
    if len(word) > _SHORTEST and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    for ending in ("ing", "ed", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST:
            return word[: -len(ending)]
    return word


_SYNONYM_STEMS: Final = tuple(frozenset(map(_stem, group)) for group in SYNONYMS)
