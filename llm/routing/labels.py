"""The labelled prompts: what each needs of four skills, as a person judged before anything was tuned.

A label is one of five steps: 0 not needed, 1 any model manages, 2 a good small one, 3 a middling one, 4 only the best.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from typing import Any, Final

import orjson

from .levels import Levels

STEPS: Final = (0.0, 0.45, 0.62, 0.78, 0.9)
"""The skill, on the scale of the catalogue's profiles, that each step asks for."""
_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Labelled:
    """A prompt and what it needs."""

    text: str
    needs: Levels

    @property
    def held_out(self) -> bool:
        """Whether it is kept from tuning: a third is, by a digest of the text."""
        return blake2b(self.text.encode(), digest_size=4).digest()[0] % _PARTS == 0


def load_labels() -> list[Labelled]:
    """Read the shipped prompts."""
    lines = files(__package__).joinpath("prompts.jsonl").read_bytes().splitlines()
    return [_labelled(orjson.loads(line)) for line in lines]


def _labelled(row: dict[str, Any]) -> Labelled:
    code, reasoning, knowledge, instructions = (STEPS[step] for step in row["need"])
    return Labelled(row["text"], (code, reasoning, knowledge, instructions))
