"""Which passwords and addresses are taken."""

from __future__ import annotations

import pytest

from codelab.auth.users.addresses import normal_email
from codelab.auth.users.passwords import _common, check_password
from codelab.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("1", "password_too_short"),
        ("seven77", "password_too_short"),
        ("x" * 257, "password_too_long"),
        ("password", "password_common"),
        ("PassWord", "password_common"),
        ("football", "password_common"),
        ("ann.smith@example.org", "password_personal"),
        ("Ann.Smith", "password_personal"),
        ("Annabel Smith", "password_personal"),
    ],
    ids=["one", "seven", "endless", "common", "shouted", "sport", "address", "local", "name"],
)
async def test_passwords_that_are_refused(password, code):
    with pytest.raises(InvalidInput) as refused:
        await check_password(password, "ann.smith@example.org", "annabel smith")
    assert refused.value.code == code


@pytest.mark.parametrize(
    "password",
    ["8 eights", "x" * 256, "три слова вместе", " leading and trailing ", "🐎🔋📎🐎🔋📎🐎🔋"],
    ids=["eight", "longest", "russian", "blanks", "emoji"],
)
async def test_passwords_that_are_taken(password):
    await check_password(password, "ann@example.org", "")


def test_the_list_holds_the_three_thousand_that_are_tried_first():
    assert len(_common()) >= 3000


@pytest.mark.parametrize(
    ("typed", "kept"),
    [(" Ann@Example.ORG ", "ann@example.org"), ("admin@localhost", "admin@localhost"), ("a+b@c.de", "a+b@c.de")],
    ids=["case", "localhost", "plus"],
)
def test_an_address_has_one_form(typed, kept):
    assert normal_email(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ann",
        "ann@",
        "@example.org",
        "a b@example.org",
        "ann@example.org\r\nBcc: eve@example.org",
        "ann@example.org\n",
        "\u212aate@example.org",
        "ann@exаmple.org",
        "ann@-x.org",
        "ann@example..org",
        "a" * 65 + "@example.org",
        "ann@" + "a." * 130 + "org",
        "Ann <ann@example.org>",
    ],
    ids=[
        "empty", "no-at", "no-host", "no-name", "blank", "header", "newline", "kelvin", "cyrillic", "dash", "dots",
        "long-name", "long", "display",
    ],
)  # fmt: skip
def test_what_is_no_address(typed):
    with pytest.raises(InvalidInput) as refused:
        normal_email(typed)
    assert refused.value.code == "bad_email"
