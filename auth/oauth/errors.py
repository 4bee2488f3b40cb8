"""Errors of the RFCs that Authlib has no class for."""

from __future__ import annotations

from authlib.oauth2.rfc6749 import OAuth2Error


class InvalidTargetError(OAuth2Error):
    """The resource is not one that this client gets tokens for (RFC 8707)."""

    error = "invalid_target"
    description = "This client gets no token for this resource."


class LoginRequiredError(OAuth2Error):
    """Nobody is signed in, and nobody may be asked to."""

    error = "login_required"
    description = "Nobody is signed in."


class ConsentRequiredError(OAuth2Error):
    """The person would have to be asked, and may not be."""

    error = "consent_required"
    description = "The person has not agreed to this."
