"""JSON text is what the standard library would write, whatever is said, and holds nothing that a database refuses."""

import json
from datetime import UTC, datetime
from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.store.texts import clean_text, dump_json


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Kind(Enum):
    ONE = "one"


class Point(NamedTuple):
    x: int
    y: int


TEXTS = st.text(st.characters(codec="utf-8"))
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner) | st.tuples(inner, inner),
)


def cleaned(value: Any) -> Any:
    """What the standard library makes of it, without NUL."""
    return json.loads(json.dumps(value).replace("\\u0000", "\\ufffd"))


@given(VALUES)
def test_it_says_what_the_standard_library_says(value: Any) -> None:
    if "\\\\u0000" in json.dumps(value):  # letters that merely look like an escape
        return
    text = dump_json(value)
    assert json.loads(text) == cleaned(value)
    assert text.isascii()
    assert json.loads(dump_json(value, escaped=False)) == cleaned(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"при": "вет"}, '{"\\u043f\\u0440\\u0438":"\\u0432\\u0435\\u0442"}'),
        ({1: 10**30, None: True}, f'{{"1":{10**30},"null":true}}'),
        ([float("nan"), float("inf"), -float("inf")], "[null,null,null]"),
        ([Colour.RED, Level.LOW, Kind.ONE, Point(1, 2)], '["red",1,"one",[1,2]]'),
        (datetime(2026, 1, 2, tzinfo=UTC), '"2026-01-02 00:00:00+00:00"'),
        (["\ud800x", "\x00"], '["\\ufffdx","\\ufffd"]'),
        ("\x1f\u2028\n", '"\\u001f\\u2028\\n"'),
        (object, "\"<class 'object'>\""),
    ],
    ids=["letters", "odd keys and numbers", "no numbers", "names", "a time", "halves", "controls", "anything"],
)
def test_what_is_out_of_the_way(value: Any, text: str) -> None:
    assert dump_json(value) == text


def test_letters_stay_letters_where_they_may() -> None:
    assert dump_json({"a": "вет"}, escaped=False) == '{"a":"вет"}'
    assert clean_text("\ud800\x00é") == "\ufffd\ufffdé"
