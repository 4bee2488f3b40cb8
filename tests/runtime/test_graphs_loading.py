"""A `langgraph.json` becomes graphs; what is wrong with it is said by file, key and what to do."""

import os
import sys

import pytest
from structlog.testing import capture_logs

from codelab.core.errors import ConfigError
from codelab.core.settings import Settings
from codelab.runtime.graphs.loading import load_config, settings_for
from tests.support.configs import ECHO, project

NAMED = """
from typing import TypedDict
from langgraph.graph import START, StateGraph
from {helper} import WORD

class State(TypedDict, total=False):
    text: str

graph = StateGraph(State).add_node("say", lambda state: {{"text": WORD}}).add_edge(START, "say").compile()
"""


@pytest.fixture(autouse=True)
def process():
    """Put back what loading changes for the process."""
    before, paths, modules = dict(os.environ), list(sys.path), set(sys.modules)
    yield
    os.environ.clear()
    os.environ.update(before)
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def said(served, graph_id="g"):
    return served.graphs.static(graph_id).invoke({})["text"]


def test_graphs_of_every_form(tmp_path):
    path = project(
        tmp_path,
        {"pkg/__init__.py": "", "pkg/mod.py": ECHO, "made.py": ECHO + "\ndef make(config):\n    return graph\n"},
        graphs={
            "file": "./app.py:graph",
            "bare": "app.py:graph",
            "module": "pkg.mod:graph",
            "inside": "./pkg/mod.py:graph",
            "factory": {"path": "./made.py:make", "description": "Makes one"},
        },
    )
    served = load_config(path)
    assert list(served.graphs.ids) == ["file", "bare", "module", "inside", "factory"]
    assert served.graphs.description("factory") == "Makes one"
    assert served.graphs.description("file") is None
    assert served.graphs.static("factory") is None


def test_relative_and_absolute_imports(tmp_path):
    files = {
        "src/thing/__init__.py": "",
        "src/thing/deep/__init__.py": "",
        "src/thing/deep/graph.py": NAMED.format(helper="..words"),
        "src/thing/words.py": "WORD = 'relative'",
        "src/plain.py": NAMED.format(helper="thing.words"),
        "lib/other.py": "WORD = 'library'",
        "top.py": NAMED.format(helper="other"),
    }
    graphs = {"rel": "./src/thing/deep/graph.py:graph", "abs": "./src/plain.py:graph", "lib": "./top.py:graph"}
    served = load_config(project(tmp_path, files, graphs=graphs, dependencies=["./src", "./lib"]))
    assert [said(served, each) for each in served.graphs.ids] == ["relative", "relative", "library"]


def test_a_dependency_that_is_a_package_itself(tmp_path):
    files = {
        "graph/__init__.py": "",
        "graph/agent.py": NAMED.format(helper=".words"),
        "graph/again.py": NAMED.format(helper="graph.words"),
        "graph/words.py": "WORD = 'here'",
    }
    graphs = {"one": "./graph/agent.py:graph", "two": "./graph/again.py:graph"}
    served = load_config(project(tmp_path, files, graphs=graphs, dependencies=["./graph"]))
    assert [said(served, each) for each in served.graphs.ids] == ["here", "here"]


def test_two_projects_with_the_same_names(tmp_path):
    """Same file names, same packages, same helper modules: each graph has its own."""
    for name in ("one", "two"):
        files = {"pkg/__init__.py": "", "pkg/words.py": f"WORD = {name!r}", "g.py": NAMED.format(helper="pkg.words")}
        project(tmp_path / name / "project", files, graphs={"g": "./g.py:graph"})
    served = [load_config(tmp_path / name / "project" / "langgraph.json") for name in ("one", "two", "one")]
    assert [said(each) for each in served] == ["one", "two", "one"]


def test_what_is_installed_stays_what_it_is(tmp_path):
    files = {
        "httpx.py": "raise RuntimeError",
        "g.py": NAMED.format(helper="words"),
        "words.py": "import httpx\nWORD = httpx.__name__",
    }
    before = sys.modules["httpx"]
    served = load_config(project(tmp_path, files, graphs={"g": "./g.py:graph"}))
    assert (said(served), sys.modules["httpx"]) == ("httpx", before)


def test_modules_have_stable_names(tmp_path):
    """State in a database names types by module: another process must find them under the same name."""
    served = load_config(project(tmp_path / "here" / "shop", graphs={"g": "./app.py:graph"}))
    assert served.graphs.static("g").builder.state_schema.__module__ == "served_shop.app"
    assert "served_shop.app" in sys.modules


@pytest.mark.parametrize("env", [{"A_WORD": "set", "A_KEPT": "no"}, ".env"])
def test_the_environment_is_set_before_anything_is_imported(tmp_path, env):
    os.environ["A_KEPT"] = "kept"
    files = {
        "words.py": "import os\nWORD = os.environ['A_WORD'] + ' ' + os.environ['A_KEPT']",
        "g.py": NAMED.format(helper="words"),
        ".env": "A_WORD=set\nA_KEPT=no\n# a comment\n",
    }
    served = load_config(project(tmp_path, files, graphs={"g": "./g.py:graph"}, env=env))
    assert said(served) == "set kept"


@pytest.mark.parametrize(
    ("config", "key", "hint"),
    [
        ({"graphs": {}}, "graphs", "name one"),
        ({"graphs": {"g": "./app.py"}}, "graphs.g", "write ./file.py:name"),
        ({"graphs": {"g": "./nowhere.py:graph"}}, "graphs.g", "no file"),
        ({"graphs": {"g": "./app.py:other"}}, "graphs.g", "define it"),
        ({"graphs": {"g": "no.such.module:graph"}}, "graphs.g", "dependencies"),
        ({"graphs": {"g": "./app.py:operator"}}, "'g'", "name a compiled graph"),
        ({"graphs": {"g": 3}}, "graphs.g", ""),
        ({"dependencies": ["./nowhere"]}, "dependencies", "no folder"),
        ({"env": ".nowhere"}, "env", "no file"),
        ({"http": {"app": "./nowhere.py:app"}}, "http.app", "no file"),
        ({"http": {"disable_mcp": "perhaps"}}, "http.disable_mcp", "boolean"),
        ({"auth": {"path": "./auth.py:other"}}, "auth.path", "define it"),
        ({"checkpointer": {"path": "./nowhere.py:make"}}, "checkpointer.path", "no file"),
        ({"encryption": {"path": "./x.py:y"}}, "encryption", "Leave it out"),
        ({"webhooks": {"url": {"allowed_domains": ["a.example"]}}}, "webhooks.url.allowed_domains", "Leave it out"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, config, key, hint):
    path = project(tmp_path, **config)
    with pytest.raises(ConfigError) as failed:
        load_config(path)
    assert str(path) in failed.value.message or key == "'g'"
    assert key in failed.value.message
    assert hint in failed.value.message


@pytest.mark.parametrize("text", ["{", "[]", '"x"', ""])
def test_a_file_that_is_no_config(tmp_path, text):
    path = tmp_path / "langgraph.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"langgraph\.json"):
        load_config(path)
    with pytest.raises(ConfigError, match="--config"):
        load_config(tmp_path / "nowhere.json")


def test_a_module_that_fails_says_where(tmp_path):
    path = project(tmp_path, {"bad.py": "import nothing_like_this"}, graphs={"g": "./bad.py:graph"})
    with pytest.raises(ModuleNotFoundError, match="nothing_like_this") as failed:
        load_config(path)
    assert "graphs.g" in failed.value.__notes__[0]


def test_nothing_is_dropped_in_silence(tmp_path):
    config = {
        "grphs": {},
        "python_version": "3.11",
        "$schema": "x",
        "ui": {"g": "./ui.tsx"},
        "priority": {"path": "./p.py:p"},
        "http": {"disabel_mcp": True, "logging_headers": {"includes": ["x"]}, "disable_ui": False},
        "auth": {"cache": {"cache_keys": ["a"]}},
        "store": {"index": {"dims": 3, "embed": "x"}, "ttl": {"default_ttl": 1}},
        "checkpointer": {"ttl": {"default_ttl": 1, "strtegy": "delete"}},
        "dependencies": [".", "no-such-distribution-at-all>=1", "langgraph"],
    }
    with capture_logs() as logs:
        load_config(project(tmp_path, **config))
    idle = ("ui", "priority", "http.logging_headers", "auth.cache", "store.index", "store.ttl", "checkpointer.ttl")
    told = {(entry["event"], entry.get("key") or entry.get("package")) for entry in logs}
    assert told == {
        *(("config_key_unknown", key) for key in ("grphs", "http.disabel_mcp", "checkpointer.ttl.strtegy")),
        *(("config_key_without_effect", key) for key in idle),
        ("config_dependency_missing", "no-such-distribution-at-all>=1"),
    }
    assert all(entry["log_level"] == "warning" for entry in logs)


def test_webhook_rules_become_settings(tmp_path):
    url = {"require_https": True, "allowed_ports": [8443], "disable_loopback": False}
    served = load_config(project(tmp_path, webhooks={"url": url}))
    settings = Settings(_env_file=None, webhooks={"enabled": True, "secret": "s", "allow_http": True})
    hooks = settings_for(served, settings).webhooks
    assert (hooks.allow_http, hooks.ports, hooks.allow_private, hooks.enabled) == (False, [8443], True, True)
    off = load_config(project(tmp_path, http={"disable_webhooks": True}))
    assert settings_for(off, settings).webhooks.enabled is False
