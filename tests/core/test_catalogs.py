"""Texts: the same keys in each language, with the same placeholders, and the right language for a reader."""

import re
from pathlib import Path
from string import Formatter

import pytest

from codelab.core.catalogs import LANGUAGES, catalog, language, text
from codelab.core.permissions import GRANTABLE, OPENID

ROOT = Path(__file__).parents[2]


def placeholders(said: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(said) if name is not None}


def test_each_language_says_everything_with_the_same_placeholders():
    first = catalog(LANGUAGES[0])
    for lang in LANGUAGES[1:]:
        other = catalog(lang)
        assert set(other) == set(first)
        assert not [key for key in first if placeholders(other[key]) != placeholders(first[key])]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_text_is_plain_text(lang):
    """What is markup would be shown as it is, or worse, would not."""
    assert not [key for key, said in catalog(lang).items() if not said.strip() or re.search(r"[<>]|&\w+;", said)]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_scope_is_explained(lang):
    assert {f"scope.{scope}" for scope in GRANTABLE | OPENID} <= set(catalog(lang))


def test_no_text_is_left_over():
    """Keys that are put together name their beginning in the code."""
    places = [*(ROOT / "web" / "templates").iterdir(), *ROOT.glob("server/**/*.py"), *ROOT.glob("auth/**/*.py")]
    said = "\n".join(path.read_text("utf-8") for path in places)
    built = (
        "scope.",
        "mail.",
        "error.",
        "login.done.",
        "account.done.",
        "password.",
        "device.allowed.",
        "device.denied.",
    )
    assert not [
        key
        for key in catalog(LANGUAGES[0])
        if f'"{key}"' not in said and not key.startswith(built) and key != "lang.name"
    ]


def test_values_take_their_places():
    assert text("en", "login.where", host="example.org") == "to CodeLab at example.org"
    assert text("ru", "login.where", host="{0.__class__}") == "в CodeLab на {0.__class__}"
    with pytest.raises(KeyError):
        text("en", "login.where")
    with pytest.raises(KeyError):
        text("en", "no.such.text")


@pytest.mark.parametrize(
    ("accepted", "chosen", "found"),
    [
        ("", (), "en"),
        ("ru", (), "ru"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8", (), "ru"),
        ("en;q=0.5, ru;q=0.7", (), "ru"),
        ("de, fr;q=0.9, ru;q=0.1", (), "ru"),
        ("ru;q=0, en;q=0.1", (), "en"),
        ("ru;q=2, *;q=x, ;;,", (), "en"),
        ("x" * 100_000 + ",ru", (), "en"),
        ("en", ("ru",), "ru"),
        ("ru", (None, "en"), "en"),
        ("ru", ("xx", "../en"), "ru"),
    ],
)
def test_a_reader_is_spoken_to_in_their_language(accepted, chosen, found):
    assert language(accepted, *chosen) == found
