"""Prices: integers, rounded once, and renewed when their time has come."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from hypothesis import given
from hypothesis import strategies as st

from codelab.llm.catalog import Catalogue, Model, Price, Provider
from codelab.llm.prices import Repricing, cost, dollars, seeded
from codelab.llm.usage import Usage

DAY = datetime(2026, 11, 24, 12, tzinfo=UTC)
ANTHROPIC = Provider(name="anthropic", kind="anthropic", base_url="https://api.anthropic.com/v1")
OPENAI = Provider(name="openai", kind="openai", base_url="https://api.openai.com/v1")
GEMINI = Provider(name="gemini", kind="gemini", base_url="https://generativelanguage.googleapis.com/v1beta")


def model(provider: Provider, upstream: str, **more) -> Model:
    return Model(id=upstream, provider=provider, upstream=upstream, **more)


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        (Usage(), 0),
        (Usage(1_000_000, 0), 3_000_000_000),
        (Usage(0, 1_000_000), 15_000_000_000),
        (Usage(1_000_000, 0, cached_tokens=1_000_000), 300_000_000),
        (Usage(1_000_000, 0, cache_write_tokens=1_000_000), 3_750_000_000),
        (Usage(1_000_000, 0, cache_write_1h_tokens=1_000_000), 6_000_000_000),
        (Usage(10, 5, reasoning_tokens=5), 10 * 3_000 + 5 * 15_000),
        (Usage(10, 0, cached_tokens=40), 40 * 300),  # a provider whose numbers do not add up is not paid below nothing
    ],
)
def test_what_it_costs(usage, nano):
    price = Price(input=3_000_000_000, output=15_000_000_000, cached=300_000_000,
                  cache_write=3_750_000_000, cache_write_1h=6_000_000_000)  # fmt: skip
    assert cost(price, usage) == nano


def test_rounded_once_half_up():
    assert [cost(Price(input=500_000), Usage(n)) for n in (0, 1, 2, 3)] == [0, 1, 1, 2]
    assert cost(Price(input=499_999), Usage(1)) == 0
    assert cost(Price(input=250_000, output=250_000), Usage(1, 1)) == 1


def test_what_has_no_price_of_its_own_costs_what_it_is_instead():
    price = Price(input=2_000_000, cache_write=3_000_000)
    assert cost(price, Usage(1, cached_tokens=1)) == 2
    assert cost(price, Usage(1, cache_write_1h_tokens=1)) == 3


def test_free_models_cost_nothing():
    assert cost(Price(version="x"), Usage(10**9, 10**9, 10**8)) == 0
    assert Price().free


def test_a_long_prompt_has_another_price_for_the_whole_request():
    price = Price(
        input=1_000_000, output=1_000_000, long=((100, Price(input=2_000_000)), (1000, Price(input=3_000_000)))
    )
    assert [cost(price, Usage(n, 7)) for n in (100, 101, 1001)] == [107, 202, 3003]


@given(
    st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7)
)
def test_it_is_the_exact_sum_rounded(input_price, output_price, prompt, said, cached):
    cached = min(cached, prompt)
    exact = Fraction((prompt - cached) * input_price + said * output_price + cached * 7, 10**6)
    told = cost(Price(input=input_price, output=output_price, cached=7), Usage(prompt, said, cached))
    assert told == (exact + Fraction(1, 2)).__floor__()


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        (OPENAI, "gpt-6.1-sol"),
        (OPENAI, "gpt-5.4-mini"),
        (ANTHROPIC, "claude-sonnet-5-5"),
        (ANTHROPIC, "claude-haiku-5-5"),
        (GEMINI, "gemini-4-argon"),
        (GEMINI, "gemini-2.5-pro"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
@pytest.mark.parametrize("prompt", [1_000, 199_999, 300_000])
def test_the_seed_says_what_genai_prices_says(provider, name, prompt):
    theirs = calc_price(
        TheirUsage(input_tokens=prompt, cache_read_tokens=500, output_tokens=777),
        name, provider_api_url=provider.base_url, genai_request_timestamp=DAY,
    )  # fmt: skip
    ours = cost(seeded(model(provider, name), DAY), Usage(prompt, 777, cached_tokens=500))
    assert ours == dollars(theirs.total_price)


def test_prices_are_dated():
    argon = model(GEMINI, "gemini-4-argon")
    before, after = (seeded(argon, datetime(2026, month, 30, 12, tzinfo=UTC)) for month in (11, 12))
    assert (before.input, after.input) == (2_000_000_000, 4_000_000_000)
    assert before.version != after.version


def test_what_nobody_knows_is_free_and_says_so():
    known_name = model(Provider(name="own", kind="openai", base_url="http://10.0.0.1/v1"), "gpt-6-luna")
    for row in (known_name, model(OPENAI, "gpt-unheard-of-9000")):
        assert seeded(row, DAY) == Price(version="unknown")


def test_dollars_are_exact():
    assert [dollars(v) for v in (Decimal("0.0000000005"), "0.1", 15, Decimal("0.00000000049"))] == [
        1, 100_000_000, 15_000_000_000, 0,
    ]  # fmt: skip


def test_prices_follow_the_clock_in_the_same_mapping():
    now, asked = [1_000_000.0], []

    def seed(row: Model, moment: datetime) -> Price:
        asked.append(row.id)
        return Price(input=moment.hour + 1, version=f"{moment:%H}")

    rows = [model(OPENAI, "a"), model(OPENAI, "written", price=Price(input=7, version="mine"))]
    catalogue = Catalogue(rows, reprice=Repricing(["a"], seed=seed, clock=lambda: now[0]))
    mapping = catalogue.models
    assert asked == []  # nothing is looked up before somebody asks
    first = catalogue.find("a").price
    for _ in range(10):
        catalogue.find("a")
    assert asked == ["a"]
    now[0] += 3 * 3600
    assert catalogue.find("a").price.input == first.input + 3
    assert mapping["a"].price == catalogue.find("a").price
    assert catalogue.find("written").price == Price(input=7, version="mine")
    assert asked == ["a", "a"]
