"""Who may come in at `/v1`: the right host name, and an API key or a bearer token. Cookies count for nothing here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from ...auth.api_keys.schemas import KnownKey
from ...auth.seams import Authenticator
from ...core.errors import Forbidden, InvalidInput, Unauthenticated
from ...core.types import Principal
from ...llm.errors import NoModel
from ..middleware import host_name
from .exchange import Exchange
from .serving import Keys

PERMISSION: Final = "llm:invoke"
_PREFIX: Final = "/v1"
RESERVED: Final = "codelab/"
"""Agents will be models of this name."""
_BROWSERS: Final = (b"origin", b"sec-fetch-site", b"cookie")
_BYTES_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, and with which key."""

    principal: Principal
    key: KnownKey | None = None

    @property
    def key_id(self) -> str:
        """The key's id; empty if it was none."""
        return self.key.id if self.key is not None else ""

    def may_ask(self, model: str) -> bool:
        """Whether this model, as it was named, is for the visitor."""
        return self.key is None or self.key.models is None or model in self.key.models

    def check_model(self, model: str) -> None:
        """Raise `NoModel` for what is reserved, or not for this key."""
        if model.startswith(RESERVED) or not self.may_ask(model):
            raise no_such_model(model)

    def admit(self, size: int, now: float) -> int:
        """Count a request of so many bytes against the key's limits; the tokens it was taken for."""
        if self.key is None:
            return 0
        guess = size // _BYTES_PER_TOKEN + 1
        self.key.limits.admit(guess, now)
        return guess

    def correct(self, guess: int, used: int) -> None:
        """Count what was used in place of the guess."""
        if self.key is not None:
            self.key.limits.correct(guess, used)


def no_such_model(model: str) -> NoModel:
    """The error for a model that is not there, or not for whoever asks."""
    return NoModel(f"The model {model!r} does not exist, or is not for this key.")


class Door:
    """Lets visitors in.

    Args:
        auth: Who may come in with a token that is not an API key.
        hosts: Host names that are ours; `*` allows any.
    """

    def __init__(self, auth: Authenticator, hosts: Collection[str]) -> None:
        self._auth = auth
        self._hosts = frozenset(hosts)

    def check_host(self, exchange: Exchange) -> None:
        """Refuse a foreign Host (DNS rebinding)."""
        name = exchange.headers.get(b"host", b"").decode("latin-1")
        if "*" not in self._hosts and host_name(name) not in self._hosts:
            raise InvalidInput("This host name is not served here.", code="bad_host")

    async def enter(self, exchange: Exchange, keys: Keys) -> Visitor:
        """Find out who asks.

        Raises:
            Unauthenticated: Nobody we know.
            Forbidden: Somebody who may not use models.
        """
        visitor = await self._known(exchange, keys)
        if PERMISSION not in visitor.principal.scopes:
            raise Forbidden(
                f"This needs the permission {PERMISSION}.",
                code="insufficient_scope",
                headers={"www-authenticate": f'Bearer error="insufficient_scope", scope="{PERMISSION}"'},
            )
        return visitor

    async def _known(self, exchange: Exchange, keys: Keys) -> Visitor:
        sent = exchange.headers.get(b"authorization")
        if sent is None:
            return self._nobody(exchange)
        scheme, _, token = sent.decode("latin-1").partition(" ")
        if scheme.lower() == "bearer":
            token = token.strip()
            if key := keys.seen(token) or await keys.verify(token):
                return Visitor(await self._auth.bounded(key.principal), key)
            if principal := await self._auth.bearer(token, _PREFIX):
                return Visitor(principal)
        raise Unauthenticated(
            "This API key or token is not valid.",
            code="invalid_api_key",
            headers={"www-authenticate": 'Bearer realm="codelab", error="invalid_token"'},
        )

    def _nobody(self, exchange: Exchange) -> Visitor:
        """Without a credential only who is let in anyhow, and no page that a browser has open."""
        principal = self._auth.nobody()
        if principal is None or any(name in exchange.headers for name in _BROWSERS):
            raise Unauthenticated("Send Authorization: Bearer <API key>.", code="missing_api_key")
        return Visitor(principal)
