"""The well-known documents: everybody may read them."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from ...auth.issuer import MCP_PATH
from ...auth.oauth.metadata import resource_metadata, server_metadata

router = APIRouter(prefix="/.well-known", tags=["oauth"])
_MINUTES: Final = {"cache-control": "public, max-age=300"}


@router.get("/oauth-authorization-server", response_model=None)
async def authorization_server(request: Request) -> Response:
    """Describe the authorization server (RFC 8414)."""
    return _server(request)


@router.get("/openid-configuration", response_model=None)
async def openid_configuration(request: Request) -> Response:
    """Describe the OpenID provider."""
    return _server(request)


@router.get("/jwks.json", response_model=None)
async def jwks(request: Request) -> Response:
    """Tell the public keys that our tokens are signed with."""
    return _told(request.app.state.identity.keys.jwks())


@router.get("/oauth-protected-resource", response_model=None)
async def protected_resource(request: Request) -> Response:
    """Describe this service as a resource (RFC 9728)."""
    return _told(resource_metadata(request.app.state.identity.issuer))


@router.get(f"/oauth-protected-resource{MCP_PATH}", response_model=None)
async def mcp_resource(request: Request) -> Response:
    """Describe the MCP endpoint as a resource (RFC 9728)."""
    return _told(resource_metadata(request.app.state.identity.issuer, MCP_PATH))


def _server(request: Request) -> Response:
    identity = request.app.state.identity
    return _told(server_metadata(identity.issuer, identity.settings))


def _told(document: dict[str, Any]) -> Response:
    return JSONResponse(document, headers=_MINUTES)
