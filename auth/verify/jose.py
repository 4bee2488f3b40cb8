"""The one way in which our tokens are signed, and the keys that are taken for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

ALG: Final = "RS256"
REGISTRY: Final = JWSRegistry(algorithms=[ALG])
"""Names its algorithms: without any, the library takes all that it recommends, HS256 among them."""
KID_MOST: Final = 128
_BITS: Final = range(2048, 8193)


def public_jwk(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """Take from a JWK what everybody may see; whatever else it holds is left out, not filtered."""
    return {"kty": "RSA", "use": "sig", "alg": ALG, "kid": jwk["kid"], "n": jwk["n"], "e": jwk["e"]}


def public_key(jwk: Mapping[str, Any]) -> RSAKey | None:
    """Make the key that tokens are verified with; None for one that is for something else, weak, huge or broken."""
    members = [jwk.get(name) for name in ("kid", "n", "e")]
    usual = jwk.get("kty") == "RSA" and jwk.get("use", "sig") == "sig" and jwk.get("alg", ALG) == ALG
    if not (usual and all(isinstance(member, str) and member for member in members)):
        return None
    try:
        key = RSAKey.import_key(public_jwk(jwk))
        return key if len(jwk["kid"]) <= KID_MOST and key.raw_value.key_size in _BITS else None
    except (JoseError, ValueError):
        return None
