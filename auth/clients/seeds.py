"""The clients that come with the program: our own command line and the IDE."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ...core.permissions import GRANTABLE, OPENID
from .schemas import DEVICE_CODE

BUILT_IN: Final[Mapping[str, str]] = {"codelab-cli": "CodeLab CLI", "codelab-ide": "CodeLab IDE"}
"""Their ids and names. They can be disabled, nothing else."""
RENEWED: Final = ("name", "auth_method", "redirect_uris", "grant_types", "scopes", "audiences", "first_party")
"""What each start sets again: it belongs to the release."""


def built_in_rows(now: datetime) -> list[dict[str, Any]]:
    """Make the rows of the built-in clients; what a person may do still bounds what they get."""
    return [
        {
            "id": client_id,
            "name": name,
            "auth_method": "none",
            "redirect_uris": ["http://127.0.0.1/callback"],
            "grant_types": ["authorization_code", "refresh_token", DEVICE_CODE],
            "scopes": sorted(GRANTABLE | OPENID),
            "audiences": [],
            "first_party": True,
            "dynamic": False,
            "created_at": now,
            "owner_id": "",
            "tenant_id": "default",
        }
        for client_id, name in BUILT_IN.items()
    ]
