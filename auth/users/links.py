"""Links in mails: they lead to the issuer, whatever a request calls us."""

from __future__ import annotations

from urllib.parse import urlencode


class Links:
    """The pages that people are sent to.

    Args:
        issuer: Scheme, host and port.
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer.rstrip("/")

    def reset(self, token: str) -> str:
        """Where a password is chosen."""
        return self._to("/reset", token=token)

    def verify(self, token: str) -> str:
        """Where an address is confirmed."""
        return self._to("/verify", token=token)

    def register(self, code: str) -> str:
        """Where an invitation is taken up."""
        return self._to("/register", invite=code)

    @property
    def forgot(self) -> str:
        """Where a link for a password is asked for."""
        return f"{self._issuer}/forgot"

    @property
    def login(self) -> str:
        """Where people sign in."""
        return f"{self._issuer}/login"

    def _to(self, path: str, **query: str) -> str:
        return f"{self._issuer}{path}?{urlencode(query)}"
