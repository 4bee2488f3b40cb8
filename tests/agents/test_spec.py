"""Agent files: what is granted stands in the file, and a wrong file fails at load with its name."""

from __future__ import annotations

import pytest

from codelab.agents.spec import load_agents, parse_agent
from codelab.core.errors import ConfigError

GOOD = "---\nname: reviewer\ndescription: Reviews.\ntools: [read]\n---\nYou review.\n"


def test_the_built_in_agents() -> None:
    agents = load_agents()
    assert sorted(agents) == ["architect", "ask", "coder", "debug", "universal"]
    assert agents["universal"].single_mode_only


def test_an_agent_with_a_file_rule_has_no_shell() -> None:
    for agent in load_agents().values():
        assert not (agent.files and "execute" in agent.tools), agent.name


def test_a_good_file() -> None:
    agent = parse_agent(GOOD, source="reviewer.md")
    assert (agent.name, agent.tools, agent.prompt) == ("reviewer", ("read",), "You review.")


@pytest.mark.parametrize(
    "text",
    [
        "no front matter",
        "---\nname: x\n---\nno description",
        GOOD.replace("tools: [read]", "tools: []"),
        GOOD.replace("name: reviewer", "name: Bad Name"),
        GOOD.replace("tools:", "tolls: [x]\ntools:"),
        "---\n: : :\n---\nx",
        GOOD.replace("You review.\n", ""),
    ],
)
def test_a_wrong_file_names_itself(text: str) -> None:
    with pytest.raises(ConfigError, match=r"wrong\.md"):
        parse_agent(text, source="wrong.md")
