"""Local mode: the token file, the bearer, the one-time link and the cookie."""

from __future__ import annotations

import stat
from pathlib import Path

from codelab.auth.local import LINK_SECONDS, MAX_LINKS, LocalAuth, read_or_make_token


def test_the_token_is_made_once_and_is_private(tmp_path: Path) -> None:
    first = read_or_make_token(tmp_path / "data")
    assert read_or_make_token(tmp_path / "data") == first
    assert len(first) > 40
    assert stat.S_IMODE((tmp_path / "data" / "token").stat().st_mode) == 0o600


async def test_only_the_token_is_a_bearer() -> None:
    auth = LocalAuth("secret")
    assert await auth.bearer("secret", "/") is not None
    assert [await auth.bearer(t, "/") for t in ("", "Secret", "secret ", "sécret", auth.session)] == [None] * 5


async def test_only_the_session_is_a_cookie() -> None:
    auth = LocalAuth("secret")
    assert await auth.cookie(auth.session) is not None
    assert await auth.cookie("secret") is None
    assert await LocalAuth("other").cookie(auth.session) is None


def test_a_link_works_once() -> None:
    auth = LocalAuth("secret")
    code = auth.make_link_code()
    assert auth.redeem(code) == auth.session
    assert auth.redeem(code) is None
    assert auth.redeem("never was") is None


def test_a_link_expires_and_the_pile_is_bounded() -> None:
    now = [0.0]
    auth = LocalAuth("secret", clock=lambda: now[0])
    codes = [auth.make_link_code() for _ in range(MAX_LINKS + 1)]
    assert auth.redeem(codes[0]) is None
    now[0] = LINK_SECONDS
    assert auth.redeem(codes[-1]) is None
