"""What makes two requests the same: one digest over everything that can change the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import orjson

FORMAT: Final = 1
"""Of keys and stored answers together; another number forgets everything."""
TENANT_BYTES: Final = 8
_DIGEST_BYTES: Final = 20
_NEVER_CHANGES_THE_ANSWER: Final = frozenset(
    {
        "metadata",
        "model",  # the resolved one stands in the key
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "user",
    }
)


def relevant(body: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what can change the answer; unknown fields can. `null` is as good as absent, and 0.0 as 0."""
    picked = {}
    for name, value in body.items():
        if value is None or name in _NEVER_CHANGES_THE_ANSWER:
            continue
        picked[name] = int(value) if type(value) is float and value.is_integer() else value
    if picked.get("n") == 1:
        del picked["n"]
    return picked


def digest(tenant: str, parts: Sequence[Any]) -> bytes:
    """Make a key of a tenant's; no two tenants have one in common.

    Raises:
        TypeError: `parts` are not JSON.
    """
    said = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return tenant_prefix(tenant) + blake2b(said, digest_size=_DIGEST_BYTES, person=b"codelab.cache").digest()


@lru_cache(maxsize=1024)
def tenant_prefix(tenant: str) -> bytes:
    """Give the bytes that all keys of a tenant begin with."""
    return blake2b(tenant.encode("utf-8", "surrogatepass"), digest_size=TENANT_BYTES).digest()
