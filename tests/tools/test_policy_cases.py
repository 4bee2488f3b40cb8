"""The whole policy on a real folder: every case of the `tool_policy` suite, decided as the agents do it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from codelab.agents.spec import load_agents
from codelab.tools.approval import decide
from codelab.tools.facts import gather
from codelab.tools.policy import PolicyPin
from codelab.tools.registry import canonical, grant_for
from codelab.tools.workspaces.local import LocalWorkspace

SUITE = files("codelab.evals") / "suites" / "tool_policy"
CASES = [
    case
    for name in ("commands", "files", "other")
    for case in yaml.safe_load((SUITE / f"{name}.yaml").read_text("utf-8"))["cases"]
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("policy")
    layout = yaml.safe_load((SUITE / "layouts.yaml").read_text("utf-8"))["layouts"]["project"]
    for name, content in layout.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            path.symlink_to(content["link"])
        else:
            path.write_text(content)
    return base / "work"


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
async def test_case(case: dict[str, Any], folder: Path) -> None:
    spec = load_agents()[case["agent"]]
    mode = case.get("mode", "ask")
    pin = PolicyPin(version="1", mode=mode, turn_id="t", expires_s=60, allow=case.get("allow", []))
    workspace = LocalWorkspace(folder, id="w")
    facts = await gather(canonical(case["call"]["tool"]), case["call"]["args"], workspace)
    verdict = decide(facts, grant_for(spec.name, spec.tools, spec.files), None if mode == "none" else pin)
    expected = case["expect"] if isinstance(case["expect"], list) else [case["expect"]]
    assert verdict.decision.value in expected, verdict
