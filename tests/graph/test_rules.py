"""Routing rules say something only where people would not disagree."""

from __future__ import annotations

import time

import pytest

from codelab.graph.rules import route_by_rules

ROSTER = ("coder", "architect", "debug", "ask")


@pytest.mark.parametrize(
    ("text", "current", "agent"),
    [
        ("@debug have a look", "coder", "debug"),
        ("please @Architect think about it", None, "architect"),
        ("Implement the export button in ui.py", None, "coder"),
        ("Добавь логирование в сервис оплаты", None, "coder"),
        ("The build fails with ImportError on CI", None, "debug"),
        ("Тест test_login падает после обновления", None, "debug"),
        ("Design a caching layer: write the plan", None, "architect"),
        ("Спроектируй модуль уведомлений", None, "architect"),
        ("What does parse_args return here?", None, "ask"),
        ("Где хранится конфигурация сервиса?", None, "ask"),
        ("yes, go ahead", "architect", "architect"),
        ("да, продолжай", "debug", "debug"),
    ],
)
def test_clear_messages(text: str, current: str | None, agent: str) -> None:
    guess = route_by_rules(text, current=current, roster=ROSTER)
    assert guess is not None
    assert (guess.agent, guess.confidence >= 0.75) == (agent, True)


@pytest.mark.parametrize(
    "text",
    ["hm", "add() gives 5 for 2 and 2", "make it better", "yes", "@nobody do it", "the thing from yesterday", ""],
)
def test_unclear_messages_are_left_to_the_model(text: str) -> None:
    guess = route_by_rules(text, current=None, roster=ROSTER)
    assert guess is None or guess.confidence < 0.75


def test_an_agent_outside_the_roster_is_never_named() -> None:
    assert route_by_rules("Implement a parser in calc.py", current=None, roster=("ask",)) is None


@pytest.mark.parametrize("text", ["why does " + "a " * 50_000, "please " * 20_000, "@" * 50_000, "да " * 50_000])
def test_long_messages_do_not_stall_the_router(text: str) -> None:
    started = time.process_time()
    route_by_rules(text, current=None, roster=ROSTER)
    assert time.process_time() - started < 2
