"""Rules of the house that a linter does not know."""

import ast
import io
import re
import tokenize

import pytest

from tests.support.tree import (
    ROOMS,
    functions,
    imported,
    last_name,
    name_of,
    parse,
    room_of,
    sources,
    test_sources,
)

# Where a fault of one must not stop the others. Nowhere else is an exception caught without naming it.
MAY_CATCH_EVERYTHING = {
    "agents/at_tool.py ToolErrorMiddleware.awrap_tool_call",  # the model is told, the run goes on
    "core/events.py EventBus.publish",
    "runtime/graphs/views.py GraphViews._opened",  # a factory is somebody's own code; the client is told
    "runtime/runs/executor.py Executor._beat",  # a beat that fails is tried again at the next
    "runtime/runs/executor.py Executor._dispatch",  # a database that blinks must not end the claiming
    "runtime/runs/executor.py Executor._drive",  # one run's fault is not the others'
    "runtime/runs/sweeper.py Sweeper._attempt",  # the sweeper outlives a bad round
    "runtime/webhooks/service.py WebhookService._forever",  # the deliveries outlive a bad round
    "server/openai_api/app.py OpenAIApi.__call__",  # as the application's own handler, in the words of `/v1`
    "llm/providers/langchain.py _within",  # a chat model of anybody's raises what it likes; it is given our name
    "graph/router.py Router._ask_model",  # whatever a provider raises, the current agent goes on
}
# Transactions of ours end in the engine; the checkpointer has a connection that is not ours.
MAY_COMMIT = {"store/engine.py", "store/checkpoints.py", "store/sqlite.py"}
WEB_ROOMS = {"server", "auth"}
BANNED_SUFFIXES = ("Manager", "Helper", "Handler", "Util", "Utils", "Impl", "DTO", "Dto")
DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)+")


def nodes(path, kind):
    return (node for node in ast.walk(parse(path)) if isinstance(node, kind))


def where(path, node) -> str:
    return f"{name_of(path)}:{node.lineno}"


def calls(path, *names):
    return (node for node in nodes(path, ast.Call) if last_name(node.func) in names)


def test_inside_the_package_imports_are_relative():
    """An absolute import would find another copy of the package, or somebody else's `tools`."""
    own = {"codelab", *ROOMS, "lab"}
    scripts = "store/migrations/"  # alembic loads these by path, outside the package
    assert not [
        f"{name_of(path)}:{line} {module}"
        for path in sources()
        if not name_of(path).startswith(scripts)
        for level, module, line in imported(path)
        if level == 0 and module.split(".")[0] in own
    ]


def test_the_web_framework_stays_in_its_rooms():
    assert not [
        f"{name_of(path)}:{line} {module}"
        for path in sources()
        if room_of(path) not in WEB_ROOMS
        for level, module, line in imported(path)
        if level == 0 and module.split(".")[0] in {"fastapi", "starlette", "sse_starlette"}
    ]


def test_nothing_prints():
    printing = [
        where(path, node) for path in sources() for node in calls(path, "print") if isinstance(node.func, ast.Name)
    ]
    assert not printing


def test_type_ignores_name_their_code():
    bare = re.compile(r"#\s*type:\s*ignore(?!\[)")
    assert not [
        f"{name_of(path)}:{token.start[0]}"
        for path in sources()
        for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
        if token.type == tokenize.COMMENT and bare.search(token.string)
    ]


def is_broad(kind: ast.expr | None) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(k is None or last_name(k) in {"Exception", "BaseException"} for k in kinds)


def catches_everything(path) -> set[str]:
    """Functions with a broad handler that goes on; one that ends in a bare `raise` only cleans up."""
    found = set()
    for name, function in functions(path):
        handlers = (node for node in ast.walk(function) if isinstance(node, ast.ExceptHandler) and is_broad(node.type))
        swallowing = [h for h in handlers if not (isinstance(h.body[-1], ast.Raise) and h.body[-1].exc is None)]
        muted = [
            node
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and last_name(node.func) == "suppress" and any(is_broad(a) for a in node.args)
        ]
        if swallowing or muted:
            found.add(f"{name_of(path)} {name}")
    return found


def test_exceptions_are_caught_by_name():
    found = set().union(*(catches_everything(path) for path in sources()))
    outer = {name for name in found if not any(name.startswith(f"{other}.") for other in found)}
    assert outer == MAY_CATCH_EVERYTHING


def test_only_the_engine_commits():
    """A SQL commit takes no argument, which sets it apart from a git commit."""
    assert not [
        where(path, node)
        for path in sources()
        if name_of(path) not in MAY_COMMIT
        for node in calls(path, "commit")
        if isinstance(node.func, ast.Attribute) and not node.args and not node.keywords
    ]


def test_errors_come_from_the_tree():
    assert not [
        where(path, node)
        for path in sources()
        for node in nodes(path, ast.Raise)
        if node.exc is not None and last_name(node.exc) == "HTTPException"
    ]


def test_classes_are_named_for_what_they_are():
    assert not [
        f"{where(path, node)} {node.name}"
        for path in sources()
        for node in nodes(path, ast.ClassDef)
        if node.name.endswith(BANNED_SUFFIXES)
    ]


def test_doubles_stand_behind_seams():
    """Neither `patch("a.b")` nor `monkeypatch.setattr("a.b", …)`: a string is a seam nobody declared."""
    assert not [
        where(path, node)
        for path in test_sources()
        for node in calls(path, "patch", "setattr")
        if node.args and isinstance(node.args[0], ast.Constant) and DOTTED.fullmatch(str(node.args[0].value))
    ]


@pytest.mark.parametrize("module", ["mock", "unittest.mock"])
def test_no_mock_library(module):
    assert not [name_of(path) for path in test_sources() for _, name, _ in imported(path) if name == module]
