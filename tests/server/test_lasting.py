"""Streams and sockets end for whoever is not let in any more."""

from __future__ import annotations

import pytest
from starlette.types import Message

from codelab.server.lasting import LOOK_S, Lasting, Over


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


class Wire:
    """What a client received."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.alive = True
        self.asked = 0
        self.clock = Clock()
        self.send = Lasting(self._take, self._lives, clock=self.clock)

    async def _take(self, message: Message) -> None:
        self.sent.append(message)

    async def _lives(self) -> bool:
        self.asked += 1
        return self.alive


@pytest.fixture
def wire() -> Wire:
    return Wire()


def body(text: bytes) -> Message:
    return {"type": "http.response.body", "body": text, "more_body": True}


async def test_nobody_is_asked_about_before_a_while_has_passed(wire: Wire) -> None:
    for _ in range(100):
        await wire.send(body(b"x"))
    assert (wire.asked, len(wire.sent)) == (0, 100)


async def test_who_would_be_let_in_gets_it_all(wire: Wire) -> None:
    for number in range(3):
        wire.clock.at += LOOK_S
        await wire.send(body(str(number).encode()))
    assert (wire.asked, len(wire.sent)) == (3, 3)


async def test_who_would_not_gets_the_end_and_nothing_more(wire: Wire) -> None:
    await wire.send(body(b"before"))
    wire.alive, wire.clock.at = False, LOOK_S
    with pytest.raises(Over):
        await wire.send(body(b"secret"))
    assert wire.sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]
    assert (wire.send.began, wire.send.over) == (True, True)


async def test_an_answer_that_has_not_begun_is_left_to_whoever_refuses(wire: Wire) -> None:
    wire.alive, wire.clock.at = False, LOOK_S
    with pytest.raises(Over):
        await wire.send({"type": "http.response.start", "status": 200, "headers": []})
    assert (wire.sent, wire.send.began, wire.send.over) == ([], False, True)


async def test_a_socket_is_closed(wire: Wire) -> None:
    wire.alive, wire.clock.at = False, LOOK_S
    with pytest.raises(Over):
        await wire.send({"type": "websocket.send", "text": "secret"})
    assert wire.sent == [{"type": "websocket.close", "code": 1008}]
