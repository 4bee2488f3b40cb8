"""What we tell about ourselves (RFC 8414, OpenID Connect Discovery, RFC 9728): what is served, and nothing else."""

from __future__ import annotations

from typing import Any, Final

from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE

from ...core.permissions import ADMIN, GRANTABLE, OPENID
from ...core.settings_auth import AuthSettings
from ..clients.jwks import ALGORITHMS
from ..verify.jose import ALG
from .introspection import METHODS
from .registration import is_open

SCOPES: Final = tuple(sorted(GRANTABLE | OPENID))
AUTH_METHODS: Final = (*METHODS, "none")
_CLAIMS: Final = (
    "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash", "name", "email",
    "email_verified",
)  # fmt: skip


def server_metadata(issuer: str, settings: AuthSettings) -> dict[str, Any]:
    """Describe the authorization server, which is the OpenID provider too."""
    return {
        "issuer": issuer,
        **_endpoints(issuer, settings),
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grant_types(settings),
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": list(METHODS),
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "ui_locales_supported": ["en", "ru"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALG],
        "claim_types_supported": ["normal"],
        "claims_supported": list(_CLAIMS),
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "prompt_values_supported": ["none", "login", "consent"],
    }


def resource_metadata(issuer: str, path: str = "") -> dict[str, Any]:
    """Describe a protected resource of ours: this service (`path` is empty), or a part of it.

    MCP clients register for, and ask people for, every scope that is named here: none is an administrator's.
    """
    return {
        "resource": issuer + path,
        "resource_name": "CodeLab",
        "authorization_servers": [issuer],
        "scopes_supported": sorted(GRANTABLE - ADMIN),
        "bearer_methods_supported": ["header"],
    }


def grant_types(settings: AuthSettings) -> list[str]:
    """Name the grants that are switched on."""
    password = ["password"] if settings.password_grant else []
    return ["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE_GRANT_TYPE, *password]


def _endpoints(issuer: str, settings: AuthSettings) -> dict[str, str]:
    names = {
        "authorization_endpoint": "authorize",
        "token_endpoint": "token",
        "revocation_endpoint": "revoke",
        "introspection_endpoint": "introspect",
        "userinfo_endpoint": "userinfo",
        "device_authorization_endpoint": "device_authorization",
    }
    if is_open(settings):
        names["registration_endpoint"] = "register"
    endpoints = {name: f"{issuer}/oauth/{last}" for name, last in names.items()}
    return {**endpoints, "jwks_uri": f"{issuer}/.well-known/jwks.json"}
