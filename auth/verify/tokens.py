"""Checks access tokens: everything a resource server must check before it believes one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError

from ...core.errors import Unauthenticated
from ...core.settings_auth import ACCESS_TOKEN_MOST_S
from ..seams import KeySource, Revocations
from .jose import ALG, KID_MOST, REGISTRY

SKEW_S: Final = 30
"""How far the clocks of two machines may be apart."""
MOST_BYTES: Final = 8192
REMEMBERED: Final = 5000
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LATEST: Final = 2**53
_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
_HEADER: Final = frozenset({"alg", "typ", "kid"})
"""All that we put there. Whatever else could be there asks to be followed: `jwk`, `jku`, `x5u`, `crit`, …"""
_NAMES: Final = ("sub", "client_id", "jti")
_WRONG: Final = "This is no access token for this service: sign in again, or ask for one with `resource`."
_OVER: Final = "The access token is over: get a new one with the refresh token, or sign in again."


class InvalidToken(Unauthenticated):
    """A token that opens nothing; it never says what is wrong beyond being over."""

    default_code = "invalid_token"


class _Known(NamedTuple):
    claims: Mapping[str, Any]
    kid: str
    key: Any


class Verifier:
    """Checks access tokens with the keys of one issuer, and remembers the good ones.

    Args:
        keys: Where public keys come from.
        revocations: What ends tokens early.
        issuer: Who must have issued them.
        now: Unix time.
    """

    def __init__(
        self, keys: KeySource, *, revocations: Revocations, issuer: str, now: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._revocations = revocations
        self._issuer = issuer
        self._now = now
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def verify(self, token: str, audiences: Collection[str] | None) -> dict[str, Any]:
        """Return the claims of an access token that is meant for one of these audiences; None: whoever it is for.

        A token that was seen before is spared the signature alone.

        Raises:
            InvalidToken: It is wrong, over, or for somebody else.
            Unavailable: There is no key to tell with.
        """
        if not token.isascii() or len(token) > MOST_BYTES:
            raise InvalidToken(_WRONG)
        digest = hashlib.sha256(token.encode("ascii")).digest()
        known = self._known.get(digest)
        if known is None or await self._keys.find(known.kid) is not known.key:
            known = await self._check(token)
            self._remember(digest, known)
        else:
            self._known.move_to_end(digest)
        self._check_life(known.claims)
        if audiences is not None and not _meant_for(known.claims["aud"], audiences):
            raise InvalidToken(_WRONG)
        return dict(known.claims)

    def claims_of(self, token: str) -> dict[str, Any]:
        """Read the claims of a token that was verified before, however old it is by now."""
        part = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return claims

    async def _check(self, token: str) -> _Known:
        """What does not change while the key is good: header, signature, and what the claims are."""
        kid = _kid_of(token)
        key = await self._keys.find(kid)
        if key is None:
            raise InvalidToken(_WRONG)
        try:
            claims = jwt.decode(token, key, registry=REGISTRY).claims
        except (JoseError, ValueError, RecursionError):
            raise InvalidToken(_WRONG) from None
        if claims.get("iss") != self._issuer or not _are_whole(claims):
            raise InvalidToken(_WRONG)
        return _Known(claims, kid, key)

    def _check_life(self, claims: Mapping[str, Any]) -> None:
        now = self._now()
        if claims["exp"] <= now - SKEW_S or self._revocations.is_revoked(claims):
            raise InvalidToken(_OVER)
        if max(claims["iat"], claims.get("nbf", 0)) > now + SKEW_S:
            raise InvalidToken(_WRONG)

    def _remember(self, digest: bytes, known: _Known) -> None:
        self._known[digest] = known
        self._known.move_to_end(digest)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _kid_of(token: str) -> str:
    """Read the key's id from the header, which is nobody's word yet: it must be one of ours in every other way."""
    if _FORM.fullmatch(token) is None:
        raise InvalidToken(_WRONG)
    part = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        raise InvalidToken(_WRONG) from None
    if not isinstance(header, dict) or not header.keys() <= _HEADER:
        raise InvalidToken(_WRONG)
    kid, kind = header.get("kid"), header.get("typ")
    if not isinstance(kid, str) or not 0 < len(kid) <= KID_MOST:
        raise InvalidToken(_WRONG)
    if header.get("alg") != ALG or not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise InvalidToken(_WRONG)
    return kid


def _are_whole(claims: Mapping[str, Any]) -> bool:
    """Whether every claim that we rely on is there and is what it should be.

    A token that lives longer than ours do would outlive what is remembered of its revocation.
    """
    times = [claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)]
    if not all(map(_is_time, times)) or claims["exp"] - claims["iat"] > ACCESS_TOKEN_MOST_S:
        return False
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    return all(isinstance(name, str) and name for name in (*named, *(claims.get(name) for name in _NAMES)))


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LATEST


def _meant_for(audience: str | list[str], audiences: Collection[str]) -> bool:
    named = [audience] if isinstance(audience, str) else audience
    return any(name in audiences for name in named)
