"""Quoted parts of a request, set aside so that what is inside them is never read as an order."""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUOTED = re.compile(
    r"```[^\n`]*\n(?P<fence>.*?)```"
    r'|"(?P<double>[^"]*)"'
    r"|`(?P<tick>[^`]*)`"
    r"|«(?P<angle>[^»]*)»"
    r"|“(?P<curly>[^”]*)”"
    r"|(?<!\w)'(?P<single>[^'\n]*)'(?!\w)",
    re.DOTALL,
)
_MARK = re.compile("\x00(\\d+)\x00")
_SPLIT = re.compile(
    r"\s*(?:;|\n+(?!\s*\x00)|(?<=[\w\x00])\.\s+|,?\s*\b(?:and\s+then|then|after\s+that|а\s+затем|и\s+затем|затем|потом|после\s+этого)\b,?\s+"
    r"|,?\s+(?:and|и)\s+(?=(?:read|show|list|run|execute|create|write|replace|append|commit|search|find|delete|remove|"
    r"explain|rename|finish|прочитай|покажи|перечисли|запусти|выполни|создай|замени|допиши|добавь|закоммить|"
    r"найди|удали|объясни|переименуй|заверши|сделай\s+коммит)\b))",
    re.IGNORECASE,
)

QUOTE = "\x00\\d+\x00"


@dataclass(frozen=True)
class Quoted:
    """A text whose quotations are replaced by marks."""

    marked: str
    quotes: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Quoted:
        """Set the quotations of a text aside."""
        quotes: list[str] = []

        def mark(found: re.Match[str]) -> str:
            quotes.append(next(part for part in found.groups() if part is not None))
            return f"\x00{len(quotes) - 1}\x00"

        return cls(_QUOTED.sub(mark, text.strip()), tuple(quotes))

    def clauses(self) -> list[Quoted]:
        """Split into orders: at `;`, line ends, sentence ends, "then" and "and" before a verb."""
        return [Quoted(part, self.quotes) for part in _SPLIT.split(self.marked) if part and part.strip()]

    def plain(self, marked: str) -> str:
        """Put quotations back, without their quotation marks."""
        return _MARK.sub(lambda found: self.quotes[int(found[1])], marked).strip()
