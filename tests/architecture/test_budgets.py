"""Sizes: a file, a function and a signature must fit in a reader's head."""

import ast
from collections.abc import Iterator
from statistics import median

from tests.support.tree import functions, last_name, name_of, sources, test_sources

FILE_LINES, TEST_FILE_LINES, FUNCTION_LINES, PARAMETERS = 300, 500, 40, 5

# A command's, a route's and a tool's signature is its schema for a person, a client or a model.
SCHEMA_DECORATORS = {"get", "post", "put", "patch", "delete", "websocket", "api_route", "command", "callback", "tool"}
CONSTRUCTORS = ("__init__", "build_", "create_")
# What surrounds a program is as long a list here as it is in `subprocess`; all but argv is keyword-only.
RUNS_A_PROGRAM = {
    "tools/processes.py run_supervised",
    "tools/workspace.py Workspace.run",
    "tools/workspaces/local.py LocalWorkspace.run",
}
STRAIGHT_LINES = "store/migrations/versions/"  # a revision is a list of statements


def lines_of(path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_files_are_short():
    long = {name_of(f): lines_of(f) for f in sources() if lines_of(f) > FILE_LINES}
    long |= {name_of(f): lines_of(f) for f in test_sources() if lines_of(f) > TEST_FILE_LINES}
    assert not long


def test_the_median_file_is_about_a_hundred_lines():
    assert median(lines_of(f) for f in sources() if f.name != "__init__.py") <= 160


def test_functions_are_short():
    lengths = {
        f"{name_of(path)}:{node.lineno} {name}": node.end_lineno - node.lineno + 1
        for path in sources()
        for name, node in functions(path)
        if not name_of(path).startswith(STRAIGHT_LINES)
    }
    assert not {where: n for where, n in lengths.items() if n > FUNCTION_LINES}
    assert median(lengths.values()) <= 12


def parameters_of(node) -> Iterator[ast.arg]:
    yield from (a for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in {"self", "cls"})
    yield from node.args.kwonlyargs


def is_exempt(node) -> bool:
    if any(last_name(decorator) in SCHEMA_DECORATORS for decorator in node.decorator_list):
        return True
    positional = [a for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in {"self", "cls"}]
    return node.name.startswith(CONSTRUCTORS) and not positional


def test_functions_take_at_most_five_parameters():
    assert not [
        f"{name_of(path)}:{node.lineno} {name}"
        for path in sources()
        for name, node in functions(path)
        if f"{name_of(path)} {name}" not in RUNS_A_PROGRAM
        if len(list(parameters_of(node))) > PARAMETERS and not is_exempt(node)
    ]
