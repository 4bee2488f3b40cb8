"""The labelled prompts, the features, and which way the comparison points; how far it points is for the report."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.llm.catalog import Model, Provider
from codelab.llm.routing.features import LONGEST, NAMES, features, spoken
from codelab.llm.routing.fit import fit
from codelab.llm.routing.labels import STEPS, load_labels
from codelab.llm.routing.levels import HIGHEST, SKILLS, needs_of, shipped_weights
from codelab.llm.routing.report import compare, every_model, main

LABELS = load_labels()
HELD_OUT = [one for one in LABELS if one.held_out]


def test_the_prompts_are_many_different_and_in_two_languages():
    assert 300 <= len(LABELS) <= 500
    assert len({one.text for one in LABELS}) == len(LABELS)
    russian = sum(bool(re.search("[а-я]", one.text)) for one in LABELS)
    assert 0.4 <= russian / len(LABELS) <= 0.6


def test_a_third_is_held_out():
    assert 0.27 <= len(HELD_OUT) / len(LABELS) <= 0.4


@pytest.mark.parametrize("skill", range(4), ids=SKILLS)
def test_each_step_of_each_skill_is_among_those_held_out(skill):
    assert {one.needs[skill] for one in HELD_OUT} >= set(STEPS[1:])


def test_what_is_shipped_is_what_the_fit_gives():
    fitted = fit([one for one in LABELS if not one.held_out])
    assert list(fitted) == list(NAMES)
    for name, row in zip(NAMES, shipped_weights(), strict=True):
        assert fitted[name] == pytest.approx(list(row), abs=0.02)


def test_routing_is_cheaper_than_the_best_single_model_and_better_than_chance():
    routed, best, chance, known, *_ = compare(HELD_OUT, every_model())
    assert routed.cost < best.cost
    assert routed.short < chance.short
    assert routed.cost < chance.cost
    assert known.cost < routed.cost


def test_no_single_model_is_both_cheaper_and_better():
    routed, _, _, _, *singles = compare(HELD_OUT, every_model())
    assert not [one.name for one in singles if one.cost <= routed.cost and one.short <= routed.short]


def test_a_model_that_knows_more_is_never_short_more_often():
    provider = Provider(name="p", kind="openai")

    def flat(name: str, skill: float) -> Model:
        return Model(id=name, provider=provider, upstream=name, skills=dict.fromkeys(SKILLS, skill))

    short = [compare(HELD_OUT, [flat("x", skill)])[0].short for skill in (0.3, 0.5, 0.7, 0.95)]
    assert short == sorted(short, reverse=True)
    assert short[-1] == 0


def test_the_command_prints_it(capsys):
    main()
    told = capsys.readouterr().out
    assert "routed" in told
    assert "best single" in told
    assert "random" in told


@pytest.mark.parametrize(
    ("easy", "hard", "skill"),
    [
        (
            "print hello world in python",
            "Implement a lock-free queue in C++20 and argue why each memory ordering suffices.",
            0,
        ),
        ("Спасибо!", "Докажи, что функция непрерывна, и выведи оценку сложности алгоритма.", 1),
        ("hello", "What is the mechanism of the interaction, and which studies compare both treatments?", 2),
        ("hi", "Write exactly 50 words, no adverbs, each sentence at most five words, as JSON with two fields.", 3),
    ],
)
def test_the_harder_of_two_needs_more(easy, hard, skill):
    assert needs_of(easy)[skill] < needs_of(hard)[skill]


@given(st.text(max_size=3_000))
def test_features_and_needs_are_within_bounds_for_any_text(text):
    found = features(text)
    assert len(found) == len(NAMES)
    assert all(0 <= value <= 1.5 for value in found)
    assert all(0 <= need <= HIGHEST for need in needs_of(text))


def test_only_the_persons_last_turns_are_looked_at():
    turns = [{"role": "user", "content": f"turn {n}"} for n in range(6)]
    said = spoken(
        {"messages": [{"role": "system", "content": "rules"}, *turns, {"role": "assistant", "content": "ok"}]}
    )
    assert said == "turn 3\n\nturn 4\n\nturn 5"
    long = spoken({"messages": [{"role": "user", "content": [{"type": "text", "text": "x" * 50_000}]}]})
    assert len(long) <= LONGEST + 1
