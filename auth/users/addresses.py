"""E-mail addresses, in the one form in which they are kept and compared."""

from __future__ import annotations

import re
from typing import Final

from ...core.errors import InvalidInput

LONGEST: Final = 254
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_FORM: Final = re.compile(rf"[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")


def normal_email(text: str) -> str:
    """Bring an address into lower case without blanks around it.

    ASCII alone: two addresses that only look the same must not become one, nor the other way round.

    Raises:
        InvalidInput: It is no address (`bad_email`).
    """
    stripped = text.strip(" \t")
    lowered = stripped.lower() if stripped.isascii() else ""
    if len(lowered) > LONGEST or not _FORM.fullmatch(lowered):
        raise InvalidInput("This is no e-mail address: write name@example.org, in Latin letters.", code="bad_email")
    return lowered
