"""What an application of oauth mode has besides: the authorization server, the pages of sign-in, administration.

Imported where that mode is on: it brings fastapi-users, Authlib and the pages.
"""

from __future__ import annotations

from fastapi import APIRouter

from .account import account, device, recovery, registration, sign_in
from .oauth import authorize, discovery, endpoints, register, token
from .rest import audit, clients, roles, users


def identity_routers() -> list[APIRouter]:
    """The routes, for an application whose authenticator is an `OAuthAuth`."""
    api = APIRouter(prefix="/api/v1")
    for part in (clients, users, roles, audit):
        api.include_router(part.router)
    pages = (sign_in, registration, recovery, device, account)
    issuer = (token, authorize, endpoints, register, discovery)
    return [*(part.router for part in issuer), api, *(page.router for page in pages)]
