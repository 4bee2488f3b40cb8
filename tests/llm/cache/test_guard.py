"""How often the semantic cache is right, on labelled pairs with the offline embedder; `pytest -s` shows the report."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from codelab.core.settings_llm import ResponseCacheSettings, SemanticCacheSettings
from codelab.llm.cache.cache import ResponseCache
from codelab.llm.cache.counters import Books, Counters
from codelab.llm.cache.guard import agree, same_answer
from codelab.llm.cache.index import unit
from codelab.llm.cache.semantic import SemanticCache
from codelab.llm.events import Finish, Text
from codelab.llm.providers.hashing import hashed
from tests.llm.cache.support import MODEL, Clock, ask, batches, memory, outcome

PAIRS = yaml.safe_load((Path(__file__).parent / "pairs.yaml").read_text("utf-8"))
THRESHOLDS = (0.0, 0.6, 0.7, 0.8, 0.9)


async def embed(texts):
    return [list(hashed(text)) for text in texts]


async def measured(threshold: float, prefix: str = "") -> Counters:
    """Ask one question of each pair and then the other, in shadow mode: the labels say whether the answers agree."""
    books = Books()
    for label in ("same", "other"):
        for pair in PAIRS[prefix + label]:
            settings = SemanticCacheSettings(enabled=True, shadow=True, threshold=threshold)
            similar = SemanticCache(embed, settings, same=lambda _a, _b, label=label: label == "same")
            clock = Clock()
            it = ResponseCache(memory(clock), ResponseCacheSettings(), books=books, semantic=similar, clock=clock)
            for question in pair:
                plan = it.plan(ask(question), MODEL)
                assert await it.find(plan) is None
                it.keep(plan, batches([[Text("an answer")], [Finish("stop")]]), outcome())
    return books.of("default")


@pytest.mark.parametrize("prefix", ["", "unseen_"])
async def test_a_would_be_hit_is_right_and_the_report_says_how_often(prefix):
    alike = len(PAIRS[prefix + "same"])
    lines = [f"{prefix or 'seen_'}pairs, offline embedder", "threshold  hit rate precision  guarded"]
    found = []
    for threshold in THRESHOLDS:
        told = await measured(threshold, prefix)
        assert told.scored == told.semantic_hits
        assert (told.precision or 1.0) >= 0.95
        found.append(told.agreed / alike)
        lines.append(f"{threshold:9.2f} {found[-1]:9.0%} {told.precision!s:>9} {told.guarded:8d}")
    sys.stdout.write("\n".join(["", *lines, ""]))
    assert found == sorted(found, reverse=True)
    assert found[0] >= 0.6  # a guard that lets nothing through is precise, too


def test_without_the_guard_the_embedder_alone_would_be_wrong_more_often_than_right():
    """Why there is a guard: look-alikes are as near as the same question in other words."""

    def near(label):
        return sum(float(unit(hashed(one)) @ unit(hashed(two))) >= 0.8 for one, two in PAIRS[label])

    assert near("same") < near("other")


@pytest.mark.parametrize("pair", PAIRS["other"], ids=" | ".join)
def test_look_alikes_are_told_apart(pair):
    assert not agree(*pair)
    assert not agree(*reversed(pair))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Paris.", "paris", True),
        ("It is 42.", "It is 43.", False),
        ("Yes, it is safe.", "No, it is not safe.", False),
        ("Use `git revert` to undo the commit.", "To undo the commit use `git revert`.", True),
        ("Cats purr when they are content.", "The stock market fell today.", False),
        ("Да, можно.", "Нет, нельзя.", False),
        ("", "", True),
    ],
)
def test_when_two_answers_say_the_same(one, other, same):
    assert same_answer(one, other) is same
