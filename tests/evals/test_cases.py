"""The cases themselves: how many, how they are labelled, and that broken ones are refused."""

import pytest

from codelab.agents.spec import load_agents
from codelab.core.errors import ConfigError, InvalidInput
from codelab.evals import approvals, coding, edits, policy, routing
from codelab.evals.cases import Link, RoutedTo, Step, lay_out, parse_case, read_back, script_of
from codelab.evals.run import SUITES, choose


@pytest.mark.parametrize(
    ("suite", "least"),
    [(routing.SUITE, 120), (policy.SUITE, 40), (approvals.SUITE, 12), (edits.SUITE, 20), (coding.SUITE, 12)],
    ids=lambda value: getattr(value, "name", value),
)
def test_there_are_enough_cases(suite, least):
    assert len(suite.cases()) >= least


def test_routing_labels_are_balanced_and_a_third_is_held_out():
    cases = routing.SUITE.cases()
    russian = sum(case.lang == "ru" for case in cases) / len(cases)
    held_out = sum(case.held_out for case in cases) / len(cases)
    assert 0.4 <= russian <= 0.6
    assert 0.3 <= held_out <= 0.4
    agents = {*routing.specialists(), routing.UNCLEAR}
    assert {case.agent for case in cases} == agents
    assert all(case.right <= agents for case in cases)
    assert all(case.current is None or case.current in agents for case in cases)
    assert {case.agent for case in cases if case.held_out} == agents


def test_policy_cases_name_agents_and_layouts_that_exist():
    layouts = policy.layouts()
    assert all(case.agent in load_agents() and case.layout in layouts for case in policy.SUITE.cases())


def test_a_case_that_is_not_well_formed_is_refused():
    with pytest.raises(ConfigError, match=r"routing/x\.yaml, case 'a'"):
        parse_case({"id": "a", "txt": "hi"}, routing.RoutingCase, source="routing/x.yaml")


def test_an_edit_case_must_expect_something():
    raw = {"id": "a", "tool": "edit_file", "path": "a", "before": "x", "args": {}, "result": "x"}
    with pytest.raises(ConfigError, match="must change the file or be refused"):
        parse_case(raw, edits.EditCase, source="edit_format/x.yaml")


def test_layouts_become_files_and_symlinks(tmp_path):
    lay_out({"a/b.txt": "one\r\n", "link": Link(link="a/b.txt")}, tmp_path)
    assert read_back(tmp_path, "link") == "one\r\n"
    assert (tmp_path / "link").is_symlink()
    assert read_back(tmp_path, "absent") is None


def test_a_script_answers_the_router_too():
    script = script_of("x", (Step(say="Hi"),), RoutedTo(agent="coder"))
    assert script.replies[0].structured == {"agent": "coder", "confidence": 0.9, "reason": "scripted"}
    assert script.replies[1].text == "Hi"


def test_suites_are_chosen_by_name():
    assert [suite.name for suite in choose([])] == list(SUITES)
    assert [suite.name for suite in choose(["coding"])] == ["coding"]
    with pytest.raises(InvalidInput, match="no suite 'poetry'; choose from routing"):
        choose(["poetry"])
