"""Calls when a run has ended: noted with the end, signed, repeated, given up; never led astray."""

import asyncio
import hmac
import ssl
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, TypedDict

import httpx
import pytest
from langgraph.graph import START, StateGraph
from sqlalchemy import select, update

from codelab.core.errors import ConfigError, InvalidInput
from codelab.core.settings import WebhookSettings
from codelab.core.types import RunStatus, new_id, utc_now
from codelab.runtime.webhooks.calling import Caller, signature
from codelab.runtime.webhooks.guard import WebhookRefused
from codelab.runtime.webhooks.service import RunEnd, WebhookService
from codelab.store.engine import Database
from codelab.store.models import RunRow, WebhookDeliveryRow
from tests.agent_api.people import people
from tests.agent_api.receiver import Receiver, answering, receiving

SECRET = "a secret for tests"
LOCAL: dict[str, Any] = {"enabled": True, "secret": SECRET, "allow_http": True, "allow_private": True, "ports": []}


def rules(**more: Any) -> WebhookSettings:
    return WebhookSettings(**(LOCAL | more))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(Receiver()) as opened:
        yield opened


def run_row() -> RunRow:
    now = utc_now()
    return RunRow(
        id=new_id(),
        thread_id=new_id(),
        assistant_id="fe096781-5601-53d2-b2f6-0d3403f7e9ca",
        status="running",
        meta={"m": 1},
        kwargs={"input": {"value": "x"}},
        multitask_strategy="enqueue",
        created_at=now,
        updated_at=now,
        started_at=now,
        owner_id="alice",
        tenant_id="default",
    )


async def enqueue(service: WebhookService, database: Database, url: str, **end: Any) -> str:
    run = run_row()
    ended = {"status": RunStatus.SUCCESS, "ended_at": utc_now(), "values": {"messages": [], "n": 1}} | end
    async with database.transaction() as session:
        await service.enqueue(session, run, url, RunEnd(**ended))
    return run.id


async def deliver(service: WebhookService, now: datetime | None = None) -> int:
    begun = await service.begin_due(now or utc_now())
    await asyncio.gather(*begun)
    return len(begun)


async def only_row(database: Database) -> WebhookDeliveryRow:
    async with database.read() as session:
        return (await session.scalars(select(WebhookDeliveryRow))).one()


async def test_the_call(database: Database, receiver: Receiver) -> None:
    service = WebhookService(database=database, rules=rules())
    run_id = await enqueue(service, database, f"http://127.0.0.1:{receiver.port}/hook?x=1")
    assert await deliver(service) == 1
    (got,) = receiver.got
    assert got.line == "POST /hook?x=1 HTTP/1.1"
    assert got.headers["content-type"] == "application/json"
    body = got.json
    assert set(body) == {
        *("run_id", "thread_id", "assistant_id", "metadata", "status", "kwargs", "multitask_strategy", "created_at"),
        *("updated_at", "run_started_at", "run_ended_at", "webhook_sent_at", "values"),
    }
    assert (body["run_id"], body["status"], body["values"]) == (run_id, "success", {"messages": [], "n": 1})
    row = await only_row(database)
    assert (row.status, row.answered, row.attempts, row.body, row.next_attempt_at) == ("delivered", 200, 1, None, None)
    assert await deliver(service, utc_now() + timedelta(days=1)) == 0


async def test_the_signature_is_over_time_and_body(database: Database, receiver: Receiver) -> None:
    service = WebhookService(database=database, rules=rules())
    await enqueue(service, database, f"http://127.0.0.1:{receiver.port}/")
    await deliver(service)
    (got,) = receiver.got
    at, _, digest = got.headers["x-codelab-signature"].partition(",")
    expected = hmac.new(SECRET.encode(), f"{at.removeprefix('t=')}.".encode() + got.body, sha256).hexdigest()
    assert digest == f"v1={expected}"
    assert signature("other", int(at.removeprefix("t=")), got.body) != got.headers["x-codelab-signature"]


async def test_a_failed_run_tells_its_error(database: Database, receiver: Receiver) -> None:
    service = WebhookService(database=database, rules=rules())
    error = {"error": "ValueError", "message": "no"}
    await enqueue(service, database, f"http://127.0.0.1:{receiver.port}/", status=RunStatus.ERROR, error=error)
    await deliver(service)
    assert (receiver.got[0].json["status"], receiver.got[0].json["error"]) == ("error", error)


async def test_a_body_that_is_too_large_goes_without_values(database: Database, receiver: Receiver) -> None:
    service = WebhookService(database=database, rules=rules(max_bytes=10_000))
    await enqueue(service, database, f"http://127.0.0.1:{receiver.port}/", values={"text": "x" * 20_000})
    await deliver(service)
    body = receiver.got[0].json
    assert (body["values"], body["values_omitted"]) == (None, True)
    assert len(receiver.got[0].body) < 10_000


async def test_it_is_repeated_with_growing_pauses(database: Database, receiver: Receiver) -> None:
    receiver.answer = answering(500, 302, 200)
    service = WebhookService(database=database, rules=rules(backoff_s=5))
    await enqueue(service, database, f"http://127.0.0.1:{receiver.port}/")
    now = utc_now()
    assert await deliver(service, now) == 1
    first = await only_row(database)
    assert (first.status, first.answered, first.error) == ("pending", 500, "It answered 500")
    assert first.next_attempt_at is not None
    assert await deliver(service, now + timedelta(seconds=4)) == 0
    assert await deliver(service, first.next_attempt_at) == 1
    second = await only_row(database)
    assert second.next_attempt_at is not None
    assert timedelta(seconds=19) < second.next_attempt_at - utc_now() < timedelta(seconds=21)
    assert await deliver(service, second.next_attempt_at) == 1
    assert (await only_row(database)).status == "delivered"
    assert len({got.headers["x-codelab-delivery"] for got in receiver.got}) == 1


async def test_it_is_given_up_and_says_so(database: Database, receiver: Receiver) -> None:
    receiver.answer = answering(503)
    service = WebhookService(database=database, rules=rules(max_attempts=2))
    await enqueue(service, database, f"http://127.0.0.1:{receiver.port}/")
    for _ in range(3):
        await deliver(service, utc_now() + timedelta(hours=1))
    row = await only_row(database)
    assert (row.status, row.attempts, row.answered, row.error) == ("failed", 2, 503, "It answered 503")
    assert (row.body, row.next_attempt_at) == (None, None)
    assert len(receiver.got) == 2


async def test_gone_is_gone(database: Database, receiver: Receiver) -> None:
    receiver.answer = answering(410)
    service = WebhookService(database=database, rules=rules())
    await enqueue(service, database, f"http://127.0.0.1:{receiver.port}/")
    await deliver(service)
    assert (await only_row(database)).status == "failed"


async def test_nobody_listens(database: Database) -> None:
    async with receiving(Receiver()) as receiver:
        port = receiver.port
    service = WebhookService(database=database, rules=rules())
    await enqueue(service, database, f"http://127.0.0.1:{port}/")
    await deliver(service)
    row = await only_row(database)
    assert (row.status, row.answered) == ("pending", None)
    assert "ConnectError" in (row.error or "")


async def test_two_processes_call_once(database: Database, database_url: str, receiver: Receiver) -> None:
    other = Database(database_url)
    services = [WebhookService(database=one, rules=rules()) for one in (database, other)]
    for _ in range(10):
        await enqueue(services[0], database, f"http://127.0.0.1:{receiver.port}/")
    await asyncio.gather(*(deliver(service) for service in services))
    assert len(receiver.got) == 10
    await other.close()


async def test_a_killed_delivery_is_taken_up_again(database: Database, receiver: Receiver) -> None:
    receiver.delay_s = 5
    service = WebhookService(database=database, rules=rules(timeout_s=6))
    await enqueue(service, database, f"http://127.0.0.1:{receiver.port}/")
    begun = await service.begin_due(utc_now())
    await receiver.arrived.wait()
    await service.stop()
    assert begun[0].cancelled()
    receiver.delay_s = 0
    assert await deliver(service, utc_now()) == 0  # its lease stands
    assert await deliver(service, utc_now() + timedelta(minutes=1)) == 1
    assert (await only_row(database)).status == "delivered"


async def test_who_lost_its_lease_notes_nothing(database: Database, receiver: Receiver) -> None:
    receiver.answer = answering(500)
    receiver.delay_s = 0.3
    service = WebhookService(database=database, rules=rules())
    await enqueue(service, database, f"http://127.0.0.1:{receiver.port}/")
    late = await service.begin_due(utc_now())
    async with database.transaction() as session:
        moved = {"attempts": 2, "status": "pending", "next_attempt_at": utc_now() + timedelta(minutes=1)}
        await session.execute(update(WebhookDeliveryRow).values(**moved))
    await asyncio.gather(*late)
    row = await only_row(database)
    assert (row.attempts, row.answered, row.error) == (2, None, None)


async def test_a_run_whose_end_is_rolled_back_calls_nobody(database: Database) -> None:
    service = WebhookService(database=database, rules=rules())

    async with database.transaction() as session:
        end = RunEnd(status=RunStatus.SUCCESS, ended_at=utc_now())
        await service.enqueue(session, run_row(), "http://127.0.0.1:1/", end)
        await session.rollback()
    assert await deliver(service) == 0


async def test_finished_deliveries_are_forgotten(database: Database, receiver: Receiver) -> None:
    service = WebhookService(database=database, rules=rules(keep_days=7))
    await enqueue(service, database, f"http://127.0.0.1:{receiver.port}/")
    await deliver(service)
    await service.tidy(utc_now() + timedelta(days=6))
    await only_row(database)
    await service.tidy(utc_now() + timedelta(days=8))
    async with database.read() as session:
        assert (await session.scalars(select(WebhookDeliveryRow))).all() == []


async def test_the_loop_delivers(database: Database, receiver: Receiver) -> None:
    service = WebhookService(database=database, rules=rules())
    service.start()
    await enqueue(service, database, f"http://127.0.0.1:{receiver.port}/")
    await asyncio.wait_for(receiver.arrived.wait(), 5)
    await service.stop()


async def test_off_by_default(database: Database) -> None:
    service = WebhookService(database=database, rules=WebhookSettings())
    with pytest.raises(InvalidInput, match="CODELAB_WEBHOOKS__ENABLED"):
        await service.check("https://example.com/")
    await enqueue(service, database, "https://example.com/")
    assert await deliver(service) == 0
    service.start()
    await service.stop()


def test_calls_that_nobody_could_check() -> None:
    with pytest.raises(ConfigError, match="CODELAB_WEBHOOKS__SECRET"):
        WebhookService(database=Database("sqlite://"), rules=WebhookSettings(enabled=True))


# -- led astray ------------------------------------------------------------------------------------------------------


class Rebinding:
    """A name that is outside when it is checked and inside when it is called."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> list[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


async def test_a_name_that_moves_inside_is_not_followed(database: Database, receiver: Receiver) -> None:
    strict = rules(allow_private=False)
    caller = Caller(strict, resolver=Rebinding(["93.184.216.34"], ["127.0.0.1"]))
    service = WebhookService(database=database, rules=strict, caller=caller)
    url = f"http://rebind.test:{receiver.port}/"
    await service.check(url)
    await enqueue(service, database, url)
    await deliver(service)
    row = await only_row(database)
    assert (row.status, row.error) == ("failed", "Webhook host blocked: it is not at a public address")
    assert receiver.got == []


async def test_the_checked_address_is_the_one_that_is_called(receiver: Receiver) -> None:
    """The name has no address but the one that the check found, and it is looked up once a call."""
    resolver = Rebinding(["127.0.0.1"], ["203.0.113.1"])
    status = await Caller(rules(), resolver=resolver).call(f"http://hook.test:{receiver.port}/a", b"{}", {})
    assert (status, resolver.asked) == (200, 1)
    assert receiver.got[0].headers["host"] == f"hook.test:{receiver.port}"


async def test_an_address_that_answers_nothing_gives_way_to_the_next(receiver: Receiver) -> None:
    resolver = Rebinding(["127.0.0.2", "127.0.0.1"])
    assert await Caller(rules(), resolver=resolver).call(f"http://hook.test:{receiver.port}/", b"{}", {}) == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    async with receiving(Receiver(answering(status, head=f"location: http://127.0.0.1:{receiver.port}/\r\n"))) as first:
        assert await Caller(rules()).call(f"http://127.0.0.1:{first.port}/", b"{}", {}) == status
    assert receiver.got == []


async def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving(Receiver()) as proxy:
        for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await Caller(rules()).call(f"http://127.0.0.1:{receiver.port}/", b"{}", {})
        assert (len(receiver.got), proxy.got) == (1, [])


async def test_a_server_that_takes_its_time() -> None:
    async with receiving(Receiver(delay_s=3)) as slow:
        with pytest.raises((TimeoutError, httpx.TimeoutException)):
            await Caller(rules(timeout_s=0.2)).call(f"http://127.0.0.1:{slow.port}/", b"{}", {})


async def test_an_endless_answer_is_not_read() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            pass

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await Caller(rules(timeout_s=5)).call(f"http://127.0.0.1:{port}/", b"{}", {}) == 200


async def test_headers_without_end() -> None:
    async def headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        try:
            while True:
                writer.write(b"x: " + b"y" * 1000 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            pass

    server = await asyncio.start_server(headers, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises((httpx.HTTPError, TimeoutError)):
            await Caller(rules(timeout_s=2)).call(f"http://127.0.0.1:{port}/", b"{}", {})


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's view of a certificate for `hook.test`."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=hook.test", "-addext", "subjectAltName=DNS:hook.test", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", cert, *names], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=str(cert))


async def test_the_certificate_is_that_of_the_name(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = certificate
    async with receiving(Receiver(), server) as receiver:
        caller = Caller(rules(allow_http=False), resolver=Rebinding(["127.0.0.1"]), tls=client)
        assert await caller.call(f"https://hook.test:{receiver.port}/", b"{}", {}) == 200
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await caller.call(f"https://other.test:{receiver.port}/", b"{}", {})
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await Caller(rules(), resolver=Rebinding(["127.0.0.1"])).call(
                f"https://hook.test:{receiver.port}/", b"{}", {}
            )
    assert len(receiver.got) == 1


async def test_loopback_is_refused_unless_it_is_allowed(receiver: Receiver) -> None:
    with pytest.raises(WebhookRefused):
        await Caller(rules(allow_private=False)).call(f"http://127.0.0.1:{receiver.port}/", b"{}", {})
    with pytest.raises(WebhookRefused):
        await Caller(rules(allow_private=False)).call(f"http://localhost:{receiver.port}/", b"{}", {})
    assert receiver.got == []


def test_the_form_of_a_signature() -> None:
    at = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    assert signature("k", at, b"{}").startswith("t=1767225600,v1=")


# -- with a run ------------------------------------------------------------------------------------------------------


class State(TypedDict, total=False):
    value: str


def graph() -> Any:
    async def node(state: State) -> State:
        if state["value"] == "fail":
            raise ValueError("no")
        return {"value": state["value"] + "!"}

    return StateGraph(State).add_node("node", node).add_edge(START, "node").compile()


async def test_a_run_that_ends_calls(database_url: str, receiver: Receiver) -> None:
    hook = f"http://127.0.0.1:{receiver.port}/"
    async with people({"agent": graph()}, database_url, **LOCAL) as (_, clients), clients() as client:
        for value in ("x", "fail"):
            body = {"assistant_id": "agent", "input": {"value": value}, "webhook": hook, "metadata": {"m": 1}}
            receiver.arrived.clear()
            answer = await client.post("/runs/wait", json=body)
            assert answer.status_code == 200
            await asyncio.wait_for(receiver.arrived.wait(), 10)
        refused = await client.post("/runs", json={"assistant_id": "agent", "input": {}, "webhook": "/relative"})
        assert refused.status_code == 422
    good, bad = (got.json for got in receiver.got)
    assert (good["status"], good["values"], good["metadata"]["m"]) == ("success", {"value": "x!"}, 1)
    assert "error" not in good
    assert good["run_started_at"] <= good["run_ended_at"] <= good["webhook_sent_at"]
    assert (bad["status"], bad["error"]) == ("error", {"error": "ValueError", "message": "no"})


async def test_a_run_that_names_one_where_they_are_off(database_url: str) -> None:
    async with people({"agent": graph()}, database_url) as (_, clients), clients() as client:
        body = {"assistant_id": "agent", "input": {"value": "x"}, "webhook": "https://example.com/"}
        answer = await client.post("/runs", json=body)
        assert answer.status_code == 422
        assert "CODELAB_WEBHOOKS__ENABLED" in answer.json()["detail"]
