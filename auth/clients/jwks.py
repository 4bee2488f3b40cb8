"""Public keys of clients that authenticate with signed assertions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

ALGORITHMS: Final = ("RS256", "ES256")
"""How clients may sign."""
_MOST_KEYS: Final = 5
_LONGEST: Final = 2048
_RSA_BITS: Final = range(2048, 8193)
_MEMBERS: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def public_keys(jwks: Any) -> dict[str, Any]:
    """Read a key set as it may be kept: RSA of 2048 bits or more, or P-256, each with a `kid` of its own if several.

    Raises:
        ValueError: It has another form, or holds a private key.
    """
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= _MOST_KEYS:
        raise ValueError(f"is no JWK set of 1 to {_MOST_KEYS} keys")
    found = [_public(key) for key in keys]
    if len(found) > 1 and len({key.get("kid") for key in found} - {None}) < len(found):
        raise ValueError("needs a `kid` of its own for each key")
    return {"keys": found}


def find_key(jwks: Mapping[str, Any], kid: Any, alg: Any) -> RSAKey | ECKey | None:
    """Find the key that an assertion says it was signed with; None if there is none, or it is for another algorithm."""
    keys = jwks["keys"]
    fits = [key for key in keys if key.get("kid") == kid] if kid is not None else keys
    if len(fits) != 1 or alg != _algorithm(fits[0]):
        return None
    return _imported(fits[0])


def _public(key: Any) -> dict[str, Any]:
    members = _MEMBERS.get(key.get("kty", "")) if isinstance(key, Mapping) else None
    if members is None:
        raise ValueError("takes keys of kty RSA or EC")
    if not _PRIVATE.isdisjoint(key):
        raise ValueError("holds a private key: make a new pair, and send the public half alone")
    if key.get("use", "sig") != "sig" or key.get("alg", _algorithm(key)) != _algorithm(key):
        raise ValueError(f"takes keys for signing with {' or '.join(ALGORITHMS)}")
    kept = {name: key[name] for name in (*members, "kid") if name in key}
    if not all(isinstance(value, str) and 0 < len(value) <= _LONGEST for value in kept.values()):
        raise ValueError("holds a key that is broken")
    _imported(kept)
    return kept


def _algorithm(key: Mapping[str, Any]) -> str:
    return ALGORITHMS[0] if key["kty"] == "RSA" else ALGORITHMS[1]


def _imported(key: Mapping[str, Any]) -> RSAKey | ECKey:
    try:
        made = RSAKey.import_key(dict(key)) if key["kty"] == "RSA" else ECKey.import_key(dict(key))
        public = made.public_key  # a point that is not on its curve fails here
    except (JoseError, ValueError, KeyError) as exc:
        raise ValueError("holds a key that is broken") from exc
    if isinstance(made, RSAKey) and public.key_size not in _RSA_BITS:
        raise ValueError("takes RSA keys of 2048 bits or more")
    if isinstance(made, ECKey) and made.curve_name != "P-256":
        raise ValueError("takes EC keys on P-256")
    return made
