"""The README's walk-through, as it is written: its repository, its script, its last words."""

import re
import subprocess

from codelab.core.settings import Settings
from codelab.lab import CodeLab
from codelab.llm.scripted import Script, ScriptedChatModel
from tests.support.repos import git
from tests.support.tree import ROOT

README = (ROOT / "README.md").read_text("utf-8")
WALK = next(block for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) if "walkthrough.yaml" in block)


def shown():
    """What the walk-through quotes of the terminal, without the keys of the questions."""
    quoted = re.findall(r"^   ```\n(.*?)^   ```", README, re.DOTALL | re.MULTILINE)
    return [line.removeprefix("   ") for block in quoted for line in block.splitlines() if "[a] approve" not in line]


def on_the_terminal(events, asked):
    """What a person sees, as far as the walk-through quotes it."""
    said = "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")
    for event in events:
        if event["type"] == "CUSTOM" and event["name"] == "agent_switched":
            said += f"\n→ {event['value']['target']}: {event['value']['reason']}"
    for call in asked:
        preview = call["preview"].get("diff") or call["preview"].get("command", "")
        said += f"\n{call['agent']} asks: {call['tool']} (risk: {call['risk']})\n{call['reason']}\n{preview}"
    return said


def make_repo(folder):
    """Run the lines that make the repository."""
    ours = ("python ", "export ", "codelab ")
    lines = [line for line in WALK.splitlines(keepends=True) if not line.startswith(ours)]
    commands = "".join(lines).replace("/tmp/calc", str(folder / "calc"))
    subprocess.run(["bash", "-e"], input=commands, text=True, check=True, cwd=folder)
    return folder / "calc"


async def test_the_walk_through(tmp_path):
    repo = make_repo(tmp_path)
    task = re.search(r'^codelab run "(.*)"$', WALK, re.MULTILINE)[1]
    model = ScriptedChatModel(script=Script.load(ROOT / "examples" / "walkthrough.yaml"))
    asked = []

    def decide(interrupt):
        call = interrupt["metadata"]
        asked.append(call)
        advice = {"decision": "reject", "message": "use the statistics module"}
        return advice if call["tool"] == "edit_file" else "approve"

    settings = Settings(_env_file=None, data_dir=tmp_path / "data")
    async with CodeLab(repo, model=model, settings=settings) as lab:
        events = [event async for event in lab.run(task, approve=decide)]

    said = on_the_terminal(events, asked)
    assert [line for line in shown() if line not in said] == []
    assert [call["tool"] for call in asked][1:3] == ["edit_file", "write_file"]
    assert git(repo, "branch", "--show-current") == "fix-mean"
    assert git(repo, "status", "--porcelain") == ""
    assert not model.unmatched
