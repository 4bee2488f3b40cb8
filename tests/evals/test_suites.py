"""The oracle scores 100 % in every suite, and every mutant of every case is graded failed."""

import pytest

from codelab.evals import approvals, coding, edits, policy, routing
from codelab.evals.run import Options, run_suite
from codelab.evals.suite import Bench

QUICK = ["russian_plural", "roman_bug", "adr"]


def wrong(report):
    found = [r for r in report.results if not r.right]
    return [(r.case, r.mutant, [(c.name, c.detail) for c in r.checks if not c.passed]) for r in found]


def assert_perfect(report):
    assert not wrong(report)
    assert all(mutant.right for mutant in report.mutants)
    assert {result.case for result in report.mutants} == {result.case for result in report.graded}
    assert not [result.case for result in report.mutants if result.passed]


@pytest.mark.parametrize("suite", [policy.SUITE, approvals.SUITE, edits.SUITE], ids=lambda suite: suite.name)
async def test_oracle_and_mutants(suite):
    assert_perfect(await run_suite(suite, Bench(), Options(mutants=True)))


async def test_routing():
    report = await run_suite(routing.SUITE, Bench(), Options(mutants=True))
    assert_perfect(report)
    assert report.summary["rules-only share (all)"] > 0.3
    assert report.summary["rules-only precision (seen)"] == 1.0
    assert report.summary["messages (held_out)"] >= 40


async def test_some_coding_tasks():
    report = await run_suite(coding.SUITE, Bench(), Options(mutants=True, cases=QUICK))
    assert_perfect(report)
    assert {result.case for result in report.graded} == set(QUICK)
    assert {result.mutant for result in report.mutants} >= {"broken_edit", "wrong_agent", "forbidden_tool"}


@pytest.mark.e2e
@pytest.mark.timeout(600)
async def test_every_coding_task():
    assert_perfect(await run_suite(coding.SUITE, Bench(), Options(mutants=True)))
