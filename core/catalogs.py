"""What pages and mails say: one catalog of texts for each language, in `web/texts`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml

LANGUAGES: Final = ("en", "ru")
"""The languages there are, the default first."""

_WEIGHED: Final = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8})*\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
_MOST_HEADER: Final = 1000


@cache
def catalog(lang: str) -> Mapping[str, str]:
    """Read the texts of one of `LANGUAGES` by their keys, once."""
    path = files(__package__.rpartition(".")[0]) / "web" / "texts" / f"{lang}.yaml"
    texts: dict[str, str] = yaml.safe_load(path.read_text("utf-8"))
    return texts


def text(lang: str, key: str, **values: Any) -> str:
    """Say something in one of `LANGUAGES`, with values in the places of its placeholders.

    Raises:
        KeyError: No text has this key, or a value is missing.
    """
    return catalog(lang)[key].format(**values)


def language(accepted: str = "", *chosen: str | None) -> str:
    """Find the language of an answer.

    Args:
        accepted: An `Accept-Language` header.
        chosen: What the person chose, if anything, what counts most first; unknown names are passed over.
    """
    for name in chosen:
        if name in LANGUAGES:
            return name
    best, most = LANGUAGES[0], 0.0
    for part in accepted[:_MOST_HEADER].split(","):
        found = _WEIGHED.fullmatch(part)
        if found is None or (name := found[1].lower()) not in LANGUAGES:
            continue
        if (weight := float(found[2] or 1)) > most:
            best, most = name, weight
    return best
