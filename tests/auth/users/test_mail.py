"""How mails leave, and what never leaves."""

from __future__ import annotations

import asyncio
import email
import email.policy
import stat
import threading

import pytest
import structlog

from codelab.auth.users.background import Background
from codelab.auth.users.mail import ConsoleMailer, FolderMailer, SmtpMailer, compose, mailer_for
from codelab.auth.users.post import Post
from codelab.core.errors import ConfigError, InvalidInput, Unavailable
from codelab.core.settings_auth import MailSettings
from tests.support.smtp import make_certificate, running_smtp

ANN = "ann@example.org"
LINK = "https://codelab.example.org/reset?token=secret-of-the-link"


def parsed(content: bytes):
    return email.message_from_bytes(content, policy=email.policy.default)


async def test_a_mail_arrives_whole():
    async with running_smtp() as smtp:
        settings = MailSettings(host="127.0.0.1", port=smtp.port, security="none", sender="CodeLab <lab@example.org>")
        await mailer_for(settings).send(to=ANN, subject="Задайте пароль", text=f"Ссылка:\n.\n{LINK}\n")
    mail = parsed(smtp.mails[0].replace(b"\r\n..", b"\r\n.").removesuffix(b".\r\n"))
    assert (mail["To"], mail["From"], mail["Subject"]) == (ANN, "CodeLab <lab@example.org>", "Задайте пароль")
    assert mail.get_content().splitlines()[:3] == ["Ссылка:", ".", LINK]
    assert mail["Message-ID"].endswith("@example.org>")
    assert any(line.upper().startswith("MAIL FROM:<LAB@EXAMPLE.ORG>") for line in smtp.said)


async def test_sending_keeps_nobody_waiting():
    """The server takes its time; the loop goes on."""
    async with running_smtp() as smtp:
        mailer = mailer_for(MailSettings(host="127.0.0.1", port=smtp.port, security="none"))
        seen = set()
        mailer._deliver = lambda _message: seen.add(threading.get_ident())
        await mailer.send(to=ANN, subject="s", text="t")
    assert seen
    assert threading.get_ident() not in seen


@pytest.mark.parametrize("refuses", ["EHLO", "MAIL", "RCPT", "DATA"])
async def test_a_server_that_refuses_is_unavailable(refuses):
    async with running_smtp(refuses=refuses) as smtp:
        mailer = mailer_for(MailSettings(host="127.0.0.1", port=smtp.port, security="none"))
        if refuses == "EHLO":  # then it is greeted in the old way
            await mailer.send(to=ANN, subject="s", text="t")
            return
        with pytest.raises(Unavailable) as refused:
            await mailer.send(to=ANN, subject="s", text=LINK)
    assert ANN not in refused.value.message
    assert smtp.mails == []


async def test_no_server_is_unavailable(unused_tcp_port):
    with pytest.raises(Unavailable):
        await mailer_for(MailSettings(host="127.0.0.1", port=unused_tcp_port, security="none")).send(
            to=ANN, subject="s", text="t"
        )


async def test_nothing_is_said_in_the_clear_to_a_server_that_cannot_encrypt():
    """Neither the mail nor the password: STARTTLS is demanded, not hoped for."""
    async with running_smtp(extensions=("AUTH PLAIN",)) as smtp:
        settings = MailSettings(host="127.0.0.1", port=smtp.port, username="lab", password="hush-hush")
        with pytest.raises(Unavailable):
            await mailer_for(settings).send(to=ANN, subject="s", text=LINK)
    assert not [line for line in smtp.said if line.upper().startswith(("AUTH", "MAIL"))]


async def test_a_server_may_want_a_password():
    async with running_smtp(extensions=("AUTH PLAIN",)) as smtp:
        settings = MailSettings(host="127.0.0.1", port=smtp.port, security="none", username="lab", password="hush")
        await mailer_for(settings).send(to=ANN, subject="s", text="t")
    assert [line.split()[:2] for line in smtp.said if line.startswith("AUTH")] == [["AUTH", "PLAIN"]]
    assert len(smtp.mails) == 1


@pytest.mark.parametrize("trusted", [True, False], ids=["known", "unknown"])
async def test_a_server_must_prove_who_it_is(tmp_path, monkeypatch, trusted):
    context, certificate = make_certificate(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with running_smtp(context) as smtp:
        mailer = mailer_for(MailSettings(host="localhost", port=smtp.port, security="tls"))
        if trusted:
            await mailer.send(to=ANN, subject="s", text="t")
        else:
            with pytest.raises(Unavailable):
                await mailer.send(to=ANN, subject="s", text=LINK)
    assert len(smtp.mails) == int(trusted)


def test_mails_cross_no_network_in_the_clear():
    with pytest.raises(ConfigError):
        mailer_for(MailSettings(host="mail.example.org", security="none"))
    with pytest.raises(ConfigError):
        mailer_for(MailSettings(sender="nobody"))
    with pytest.raises(ConfigError):
        mailer_for(MailSettings(sender="Lab <lab@example.org>\r\nBcc: eve@example.org"))


@pytest.mark.parametrize("breaking", ["\r\n", "\n", "\r", "\0", "\x0b", "\u2028"], ids=repr)
@pytest.mark.parametrize("where", ["to", "subject"])
def test_no_line_of_the_head_becomes_two(where, breaking):
    told = {"to": ANN, "subject": "s"}
    told[where] += f"{breaking}Bcc: eve@example.org"
    with pytest.raises(InvalidInput):
        compose("lab@example.org", told["to"], told["subject"], "t")


async def test_a_folder_gets_a_file_for_each(tmp_path):
    mailer = mailer_for(MailSettings(folder=tmp_path / "mails"))
    assert isinstance(mailer, FolderMailer)
    await asyncio.gather(*(mailer.send(to=ANN, subject=f"s{n}", text=LINK) for n in range(3)))
    files = sorted((tmp_path / "mails").glob("*.eml"))
    assert sorted(parsed(file.read_bytes())["Subject"] for file in files) == ["s0", "s1", "s2"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_what_is_printed_is_in_no_log():
    shown: list[str] = []
    mailer = mailer_for(MailSettings(), show=shown.append)
    assert isinstance(mailer, ConsoleMailer)
    with structlog.testing.capture_logs() as logs:
        await mailer.send(to=ANN, subject="Choose a password", text=LINK)
    assert (LINK in shown[0], ANN in shown[0]) == (True, True)
    assert [entry["event"] for entry in logs] == ["mail_printed"]
    assert "secret-of-the-link" not in repr(logs)


async def test_a_mail_that_does_not_leave_is_logged_without_whom_it_was_for(unused_tcp_port):
    settings = MailSettings(host="127.0.0.1", port=unused_tcp_port, security="none")
    mailer = mailer_for(settings)
    assert isinstance(mailer, SmtpMailer)
    post = Post(mailer, Background())
    with structlog.testing.capture_logs() as logs:
        post.send(ANN, "reset", "en", host="h", login="l", forgot="f", link=LINK)
        await post.settle()
    assert [(entry["event"], entry["mail"]) for entry in logs] == [("mail_not_sent", "reset")]
    assert ANN not in repr(logs)
    assert "secret-of-the-link" not in repr(logs)


async def test_what_waits_in_the_background_is_bounded():
    background, gate = Background(), asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    with structlog.testing.capture_logs() as logs:
        for _ in range(510):
            background.start(wait(), "waiting")
    assert [entry["event"] for entry in logs] == ["background_full"] * 10
    gate.set()
    await background.settle()
