"""Adding up and showing what was found."""

import io
import json

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from rich.console import Console

from codelab.core.errors import ConfigError
from codelab.evals.meter import Meter, Price, Spent, load_prices
from codelab.evals.report import CaseResult, Check, Report, SuiteReport, show, totals

GOOD, BAD = Check("tests", True), Check("tests", False, "3 failed")


def made(case, *checks, **more):
    return CaseResult("coding", case, checks, **more)


def test_a_result_without_checks_proves_nothing():
    assert not made("a").passed
    assert made("a", GOOD).passed
    assert not made("a", GOOD, BAD).passed


def test_a_mutant_is_right_when_it_fails():
    assert made("a", BAD, mutant="broken_edit").right
    assert not made("a", GOOD, mutant="broken_edit").right
    assert made("a", skipped="needs the scripted model").right


def test_totals_count_neither_mutants_nor_skipped_cases():
    results = [
        made("a", GOOD, seconds=1, steps=2, spent=Spent(1, 10, 5, 0.5)),
        made("b", BAD, seconds=3, steps=4, spent=Spent(2, 20, 5, 0, unpriced=2)),
        made("a", BAD, mutant="m", seconds=100, steps=100),
        made("c", skipped="why"),
    ]
    total = totals(results)
    assert (total["cases"], total["passed"], total["pass_rate"]) == (2, 1, 0.5)
    assert (total["mutants"], total["mutants_caught"], total["skipped"]) == (1, 1, 1)
    assert (total["steps"], total["latency_median_s"], total["latency_max_s"]) == (6, 2, 3)
    assert (total["tokens_in"], total["tokens_out"], total["cost_usd"], total["unpriced_calls"]) == (30, 10, 0.5, 2)


def test_totals_of_nothing():
    assert totals([])["pass_rate"] is None
    assert SuiteReport("coding", []).pass_rate == 0.0


def test_the_report_is_json_and_a_table():
    results = [
        made("good", GOOD, spent=Spent(3, 1, 1, 0.25, unpriced=1)),
        made("bad", BAD),
        made("x", GOOD, mutant="m"),
    ]
    suite = SuiteReport("coding", results, {"confusion": {"coder": {"ask": 2}}, "share": 0.5})
    report = Report("scripted", [suite])
    assert not report.ok
    found = json.loads(json.dumps(report.as_json()))
    assert found["suites"][0]["cases"][1]["checks"][0]["detail"] == "3 failed"
    assert found["totals"]["pass_rate"] == 0.5
    console = Console(width=40, file=io.StringIO())
    show(report, console)
    text = console.file.getvalue()
    assert "1 of 3 calls without a price" in text
    assert "coding/bad" in text
    assert "mutant m was not noticed" in text
    assert "0.500" in text
    assert "answer →" in text


def answer(usage=True, model="m1"):
    counted = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100} if usage else None
    message = AIMessage("hi", usage_metadata=counted, response_metadata={"model_name": model} if model else {})
    return LLMResult(generations=[[ChatGeneration(message=message)]])


def test_the_meter_knows_what_it_does_not_know():
    meter = Meter("m1", {"m1": Price(input=1, output=10)})
    meter.on_llm_end(answer())
    meter.on_llm_end(answer(model=None))
    meter.on_llm_end(answer(usage=False))
    assert meter.spent == Spent(3, 2000, 200, 0.004, unpriced=1)
    unknown = Meter("m2", {})
    unknown.on_llm_end(answer())
    assert unknown.spent.unpriced == 1
    free = Meter("scripted", None)
    free.on_llm_end(answer())
    assert (free.spent.cost_usd, free.spent.unpriced) == (0, 0)


def test_prices_come_from_a_file(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text("m1: {input: 1.5, output: 6}\n")
    assert load_prices(path) == {"m1": Price(input=1.5, output=6)}
    assert load_prices(None) == {}
    path.write_text("m1: cheap\n")
    with pytest.raises(ConfigError, match="price file"):
        load_prices(path)
