"""How mails leave: over SMTP; in development into a folder, or printed."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import sys
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, make_msgid, parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from ...core.errors import ConfigError, InvalidInput, Unavailable
from ...core.settings_auth import MailSettings
from ...core.types import new_id
from ..issuer import LOOPBACK
from ..seams import Mailer
from .addresses import normal_email

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 4
_LINE_ENDS: Final = frozenset("\r\n\0\u2028\u2029\x0b\x0c\x85")


def mailer_for(settings: MailSettings, *, show: Callable[[str], None] | None = None) -> Mailer:
    """Choose how mails leave.

    Args:
        settings: A host, or a folder, or neither.
        show: Where mails are printed that nobody delivers; stderr if left out.

    Raises:
        ConfigError: The sender is no address, or mails would cross a network in the clear.
    """
    try:
        _check_line(settings.sender)
        normal_email(parseaddr(settings.sender)[1])
    except InvalidInput:
        raise ConfigError("CODELAB_AUTH__MAIL__SENDER is no address: CodeLab <codelab@example.org>") from None
    if settings.host is not None:
        return SmtpMailer(settings)
    if settings.folder is not None:
        return FolderMailer(settings)
    return ConsoleMailer(settings, show=show or _to_stderr)


class SmtpMailer:
    """Sends over SMTP, in a thread, a few at a time.

    Args:
        settings: The server, how to reach it, and who sends.
    """

    def __init__(self, settings: MailSettings) -> None:
        if settings.security == "none" and settings.host not in LOOPBACK:
            raise ConfigError("AUTH__MAIL__SECURITY=none is for a server on this machine: use starttls or tls.")
        self._settings = settings
        self._seats = asyncio.Semaphore(_AT_ONCE)

    async def send(self, *, to: str, subject: str, text: str) -> None:
        """See `Mailer`."""
        message = compose(self._settings.sender, to, subject, text)
        async with self._seats:
            try:
                await asyncio.to_thread(self._deliver, message)
            except (smtplib.SMTPException, OSError) as exc:
                raise Unavailable(f"The mail server did not take a mail ({type(exc).__name__}).") from exc

    def _deliver(self, message: EmailMessage) -> None:
        with self._connected() as server:
            if self._settings.username is not None and self._settings.password is not None:
                server.login(self._settings.username, self._settings.password.get_secret_value())
            server.send_message(message)

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        told, host = self._settings, str(self._settings.host)
        if told.security == "tls":
            context = ssl.create_default_context()
            with smtplib.SMTP_SSL(host, told.port, timeout=told.timeout_s, context=context) as server:
                yield server
            return
        with smtplib.SMTP(host, told.port, timeout=told.timeout_s) as server:
            if told.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            yield server


class FolderMailer:
    """Writes each mail into a file of its own.

    Args:
        settings: The folder, and who sends.
    """

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    async def send(self, *, to: str, subject: str, text: str) -> None:
        """See `Mailer`."""
        message = compose(self._settings.sender, to, subject, text)
        try:
            await asyncio.to_thread(_write, Path(str(self._settings.folder)), bytes(message))
        except OSError as exc:
            raise Unavailable(f"A mail could not be written ({type(exc).__name__}).") from exc


class ConsoleMailer:
    """Prints mails for whoever started the service. They hold links that let people in: no log sees them.

    Args:
        settings: Who sends.
        show: Where they are printed.
    """

    def __init__(self, settings: MailSettings, *, show: Callable[[str], None]) -> None:
        self._settings = settings
        self._show = show

    async def send(self, *, to: str, subject: str, text: str) -> None:
        """See `Mailer`."""
        compose(self._settings.sender, to, subject, text)
        self._show(f"To: {to}\nSubject: {subject}\n\n{text}\n")
        log.info("mail_printed")


def compose(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    """Make a mail; `InvalidInput` if a line of its head would break into two."""
    _check_line(to, subject)
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = sender
    message["To"] = normal_email(to)
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].partition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def _check_line(*values: str) -> None:
    if any(_LINE_ENDS & set(value) for value in values):
        raise InvalidInput("A line of a mail's head cannot hold a line break.", code="bad_mail")


def _write(folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{new_id()}.eml"
    path.touch(mode=0o600)
    path.write_bytes(content)


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
