"""What people are told by mail: the texts of `web/texts`, sent while nobody waits."""

from __future__ import annotations

from typing import Any

import structlog

from ...core.catalogs import text
from ...core.errors import CodeLabError
from ..seams import Mailer
from .background import Background

log = structlog.get_logger(__name__)


class Post:
    """Sends mails by the key of their text.

    Args:
        mailer: How they leave.
        background: Where they are sent.
    """

    def __init__(self, mailer: Mailer, background: Background) -> None:
        self._mailer = mailer
        self._background = background

    def send(self, to: str, key: str, lang: str, **values: Any) -> None:
        """Begin to send `mail.KEY`; one that does not leave is logged, without whom it was for."""
        subject, body = text(lang, f"mail.{key}.subject"), text(lang, f"mail.{key}.text", **values)
        self._background.start(self._send(to, key, subject, body), f"mail {key}")

    async def settle(self) -> None:
        """Wait until all have left."""
        await self._background.settle()

    async def _send(self, to: str, key: str, subject: str, body: str) -> None:
        try:
            await self._mailer.send(to=to, subject=subject, text=body)
        except CodeLabError as exc:
            log.warning("mail_not_sent", mail=key, error=exc.message)
