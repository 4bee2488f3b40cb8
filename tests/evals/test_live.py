"""Suites on a real client over a real socket: `--model` with an OpenAI-compatible endpoint."""

import subprocess
import sys

import pytest

from codelab.core.errors import ConfigError
from codelab.core.settings import Settings
from codelab.core.settings_llm import LLMSettings
from codelab.evals import coding
from codelab.evals.cases import RoutedTo, script_of
from codelab.evals.run import Options, make_bench, run_suites
from codelab.llm.scripted_server import serve


def endpoint(url):
    return Settings(llm=LLMSettings(base_url=url, api_key="sk-test"), _env_file=None)


async def test_a_coding_task_over_http(tmp_path):
    case = next(case for case in coding.SUITE.cases() if case.id == "russian_plural")
    prices = tmp_path / "prices.yaml"
    prices.write_text("gpt-test: {input: 1, output: 2}\n")
    async with serve(script_of(case.id, case.steps, RoutedTo(agent="coder"))) as server:
        report = await run_suites(
            ["coding"],
            model="gpt-test",
            options=Options(cases=[case.id], prices=prices),
            settings=endpoint(server.url),
        )
    result = report.suites[0].results[0]
    assert result.passed, [check for check in result.checks if not check.passed]
    assert {check.name for check in result.checks} >= {"tests", "trajectory", "approvals"}
    assert result.spent.calls >= 3
    assert result.spent.tokens_in > 0
    assert result.spent.cost_usd > 0
    assert result.spent.unpriced == 0


async def test_the_endpoint_going_away_fails_the_case_not_the_run():
    report = await run_suites(
        ["coding", "approvals"],
        model="gpt-test",
        options=Options(cases=["adr", "approve-write"]),
        settings=Settings(
            llm=LLMSettings(base_url="http://127.0.0.1:9/v1", api_key="k", max_retries=0), _env_file=None
        ),
    )
    coded, skipped = report.suites[0].results[0], report.suites[1].results[0]
    assert not coded.passed
    assert any(check.name == "ended" and not check.passed for check in coded.checks)
    assert skipped.skipped
    assert not report.ok


def test_a_real_model_needs_an_endpoint(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "CODELAB_LLM__API_KEY", "CODELAB_LLM__BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="CODELAB_LLM__BASE_URL"):
        make_bench("gpt-test", settings=Settings(_env_file=None))


async def test_the_demo_model_can_be_measured():
    report = await run_suites(["routing"], model="demo", options=Options(cases=["english-ask-01"]))
    assert report.model == "demo"
    assert report.suites[0].graded


def test_the_room_imports_without_its_extra():
    code = (
        "import sys; sys.modules['agentevals'] = None; sys.modules['pytest'] = None\n"
        "import codelab.evals.run, codelab.evals.cli"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
