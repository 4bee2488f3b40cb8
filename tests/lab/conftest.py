"""A lab on a real repository, with a scripted model that routes, edits after approval, and reports."""

from pathlib import Path

import pytest

from codelab.core.settings import Settings
from codelab.lab import CodeLab
from codelab.llm.matching import When
from codelab.llm.scripted import Reply, Script, ScriptedCall, ScriptedChatModel

STATS = "calc/stats.py"


def editing_model(**options) -> ScriptedChatModel:
    edit = ScriptedCall(name="write_file", args={"path": "NOTES.md", "content": "first\n"})
    return ScriptedChatModel(
        script=Script(
            name="notes",
            replies=(
                Reply(when=When(structured=True), structured={"agent": "coder", "confidence": 0.9, "reason": "writes"}),
                Reply(when=When(result="created"), text="It is written."),
                Reply(when=When(result="rejected"), text="Then I leave it."),
                Reply(when=When(result="Refused"), text="I may not."),
                Reply(when=When(result="later"), text="As you say."),
                Reply(when=When(human="write"), text="I write a note.", tool_calls=(edit,)),
                Reply(when=When(human="slow"), text="word " * 400, delay_s=0.05),
                Reply(text="Nothing to do."),
            ),
            **options,
        )
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "data")


@pytest.fixture
def open_lab(git_repo, settings):
    """Make labs over the same repository; each has its own model."""

    def make(workspace=None, **options):
        options.setdefault("model", editing_model())
        return CodeLab(workspace or git_repo, settings=options.pop("settings", settings), **options)

    return make
