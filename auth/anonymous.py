"""Anonymous mode: everybody is the local user. For conformance suites on a loopback address; never a default."""

from __future__ import annotations

from ..core.types import Principal
from .local import COOKIE, LOCAL


class Anonymous:
    """The `Authenticator` that lets everybody in, whatever credential they show."""

    @property
    def cookie_name(self) -> str:
        """See `Authenticator`."""
        return COOKIE

    async def bearer(self, token: str, path: str) -> Principal | None:  # noqa: ARG002
        """See `Authenticator`."""
        return LOCAL

    async def cookie(self, value: str) -> Principal | None:  # noqa: ARG002
        """See `Authenticator`."""
        return LOCAL

    async def lives(self, token: str) -> bool:  # noqa: ARG002 - nobody takes it back
        """See `Authenticator`."""
        return True

    async def bounded(self, principal: Principal) -> Principal:
        """See `Authenticator`; everybody may do everything."""
        return principal

    def nobody(self) -> Principal | None:
        """See `Authenticator`."""
        return LOCAL
