"""Which models may answer: by name, by what they can do, by cost."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from codelab.core.settings_llm import RoutingSettings
from codelab.llm.catalog import Catalogue, Model, Price, Provider
from codelab.llm.chat import Caller, CompletionRequest, Controls, Outcome
from codelab.llm.errors import NoModel
from codelab.llm.routing.choice import Choice
from codelab.llm.routing.levels import SKILLS
from codelab.llm.routing.router import CatalogueRouter

HARD = "Design and prove correct a lock-free queue; find the race in the code below and fix it without a global lock."
EASY = "hello"
PICTURE = [
    {"type": "text", "text": "what is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}},
]


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - exploration


def row(name: str, skill: float, price: int, **more: Any) -> Model:
    return Model(
        id=name,
        provider=Provider(name="p", kind="openai"),
        upstream=name,
        price=Price(input=price, output=price),
        skills=dict.fromkeys(SKILLS, skill),
        **more,
    )


SMALL = row("small", 0.65, 1, roles=("fast",))
MIDDLE = row("middle", 0.8, 10, fallbacks=("small", "gone", "big"))
BIG = row("big", 0.97, 100, roles=("strong",), capabilities=frozenset({"tools", "json", "vision"}))
PLAIN = row("plain", 0.5, 1, capabilities=frozenset(), window=1_000)
EMBED = Model(
    id="embed",
    provider=Provider(name="p", kind="openai"),
    upstream="e",
    capabilities=frozenset({"embed"}),
    roles=("embed",),
)
CATALOGUE = Catalogue([SMALL, MIDDLE, BIG, PLAIN, EMBED], aliases={"m": "middle"})


def request(name: str, text: Any = EASY, *, agent: str = "", route: bool = False, fallback: bool = True, **body: Any):
    return CompletionRequest(
        body={"model": name, "messages": [{"role": "user", "content": text}], **body},
        caller=Caller(user_id="u", agent=agent),
        controls=Controls(route=route, fallback=fallback),
    )


def names(asked: CompletionRequest, **settings: Any) -> list[str]:
    router = CatalogueRouter(CATALOGUE, RoutingSettings(**{"exploration": 0} | settings), random=seeded(0))
    return [model.id for model in router.candidates(asked)]


@pytest.mark.parametrize(
    ("asked", "first"), [("middle", "middle"), ("m", "middle"), ("strong", "big"), ("fast", "small")]
)
def test_an_id_an_alias_or_a_role_names_a_model(asked, first):
    assert names(request(asked))[0] == first


def test_what_stands_in_follows_in_its_order_and_only_if_it_is_there():
    assert names(request("middle")) == ["middle", "small", "big"]


def test_nobody_stands_in_where_that_is_not_wanted():
    assert names(request("middle", fallback=False)) == ["middle"]


def test_what_cannot_do_it_does_not_stand_in():
    assert names(request("big", PICTURE)) == ["big"]
    able = row("able", 0.9, 5, capabilities=BIG.capabilities, fallbacks=("small", "big"))
    router = CatalogueRouter(Catalogue([able, SMALL, BIG]), RoutingSettings())
    assert [model.id for model in router.candidates(request("able", PICTURE))] == ["able", "big"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_schema"}}, "JSON"),
        ({"text": PICTURE}, "pictures"),
    ],
    ids=["tools", "json", "vision"],
)
def test_a_model_that_cannot_do_it_says_so(body, word):
    with pytest.raises(NoModel, match=word) as told:
        names(request("plain", **body))
    assert told.value.code == "unsupported_by_model"


def test_a_prompt_that_cannot_fit_is_refused_and_a_doubtful_one_is_not():
    with pytest.raises(NoModel) as told:
        names(request("plain", "x" * 9_000))
    assert told.value.code == "context_length_exceeded"
    assert names(request("plain", "x" * 7_000)) == ["plain"]


@pytest.mark.parametrize("name", ["nonsense", "codelab/coder", ""])
def test_an_unknown_name_says_so(name):
    with pytest.raises(NoModel):
        names(request(name))


def test_an_embedder_does_not_chat():
    with pytest.raises(NoModel, match="does not chat"):
        names(request("embed"))


def test_auto_is_the_strong_one_until_routing_is_switched_on():
    assert names(request("auto")) == ["big"]
    assert names(request("small", route=True)) == ["small"]


def test_switched_on_it_goes_to_the_cheapest_that_will_do():
    assert names(request("auto", EASY), enabled=True)[0] in {"small", "plain"}
    assert names(request("auto", HARD), enabled=True)[0] == "big"


def test_a_model_that_is_named_wins_even_then():
    assert names(request("big", EASY), enabled=True) == ["big"]
    assert names(request("small", HARD), enabled=True)[0] == "small"


def test_a_request_may_allow_it_for_a_named_model():
    assert names(request("big", EASY, route=True), enabled=True)[0] in {"small", "plain"}


def test_only_what_can_do_it_is_chosen_from():
    assert names(request("auto", PICTURE), enabled=True) == ["big"]
    assert "plain" not in names(request("auto", EASY, tools=[{}]), enabled=True)


def test_the_next_best_stand_in():
    assert len(names(request("auto", HARD), enabled=True)) == 3
    assert len(names(request("auto", HARD, fallback=False), enabled=True)) == 1


def test_the_outcome_can_name_whom_it_would_have_gone_to():
    router = CatalogueRouter(CATALOGUE, RoutingSettings(enabled=True), random=seeded(0))
    assert router.candidates(request("auto")).baseline == "big"  # type: ignore[attr-defined]
    assert router.candidates(request("middle", route=True)).baseline == "middle"  # type: ignore[attr-defined]
    assert Outcome().baseline == ""


def test_a_roster_without_a_strong_one_can_be_chosen_from():
    router = CatalogueRouter(Catalogue([SMALL, MIDDLE]), RoutingSettings(enabled=True, exploration=0), random=seeded(0))
    route = router.candidates(request("auto"))
    assert {model.id for model in route} == {"small", "middle"}
    assert route.baseline == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("agent", "first"), [("", "small"), ("ask", "small"), ("coder", "small"), ("architect", "middle")]
)
def test_an_agent_has_its_floor(agent, first):
    choice = Choice(RoutingSettings(exploration=0), random=seeded(0), needs=lambda _: (0.2, 0.2, 0.2, 0.2))
    assert choice.rank(request("auto", agent=agent), [BIG, MIDDLE, SMALL], chars=100)[0].id == first


def test_what_a_lack_weighs_can_be_tuned():
    def first(weight: float) -> str:
        settings = RoutingSettings(exploration=0, shortfall_weight=weight)
        choice = Choice(settings, random=seeded(0), needs=lambda _: (0.95, 0.95, 0.95, 0.95))
        return choice.rank(request("auto"), [BIG, MIDDLE, SMALL], chars=100)[0].id

    assert (first(0), first(1), first(100)) == ("small", "middle", "big")


def test_exploration_is_seldom_seeded_and_only_among_those_that_will_do():
    def firsts(seed: int) -> list[str]:
        settings = RoutingSettings(exploration=0.02)
        choice = Choice(settings, random=seeded(seed), needs=lambda _: (0.7, 0.7, 0.7, 0.7))
        return [choice.rank(request("auto"), [BIG, MIDDLE, SMALL], chars=100)[0].id for _ in range(5_000)]

    seen = Counter(firsts(1))
    assert set(seen) == {"middle", "big"}  # small lacks something
    assert 0.01 <= seen["big"] / 5_000 <= 0.03
    assert firsts(1) == firsts(1)
