"""What a form carries so that no other site can send it: it follows from a cookie that other sites cannot read."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from ...core.errors import Forbidden

_PURPOSE: Final = b"csrf"


def csrf_of(token: str) -> str:
    """Return what the forms of a cookie's value carry; it does not tell the value."""
    return hmac.new(token.encode(), _PURPOSE, hashlib.sha256).hexdigest()


def check_csrf(token: str, given: str) -> None:
    """Raise `Forbidden` (`csrf_failed`) unless a form's field fits the cookie's value."""
    if not token or not hmac.compare_digest(csrf_of(token).encode(), given.encode("utf-8", "surrogatepass")):
        raise Forbidden("This form is too old, or was not ours: load the page again.", code="csrf_failed")
