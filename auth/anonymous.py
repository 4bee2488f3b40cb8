"""Anonymous mode: everybody is the local user. For conformance suites on a loopback address; never a default."""

from __future__ import annotations

from ..core.types import Principal
from .local import LOCAL


class Anonymous:
    """The `Authenticator` that lets everybody in, whatever credential they show."""

    def bearer(self, token: str) -> Principal | None:  # noqa: ARG002
        """See `Authenticator`."""
        return LOCAL

    def cookie(self, value: str) -> Principal | None:  # noqa: ARG002
        """See `Authenticator`."""
        return LOCAL

    def nobody(self) -> Principal | None:
        """See `Authenticator`."""
        return LOCAL
