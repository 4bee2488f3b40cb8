"""Importing costs nothing: no I/O, no key, no other module first, and the public face imports nobody."""

import ast
import json
import os
import py_compile
import re
import subprocess
import sys

import pytest

from tests.support.tree import ROOT, module_of, name_of, parse, sources

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}

# Run with the environment emptied. Third-party modules are loaded first; then each of ours is imported alone
# in a fork, under an audit hook that refuses files written, sockets, databases and child processes.
PROBE = """
import gc, importlib, json, os, sys
third_party, modules = json.load(sys.stdin)
for name in third_party:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
gc.freeze()
gc.disable()  # collecting in each fork would copy all of the parent's memory
watching = False
REFUSED = {"socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "os.mkdir", "os.remove", "os.rename"}

def hook(event, arguments):
    if not watching:
        return
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if event in REFUSED or (writes and ".pyc" not in str(arguments[0])):
        raise RuntimeError(f"import-time I/O: {event} {arguments!r}")

sys.addaudithook(hook)
failures = {}
for name in modules:
    reader, writer = os.pipe()
    if os.fork() == 0:
        watching = True
        try:
            importlib.import_module(name)
            word = ""
        except BaseException as exc:
            word = repr(exc)
        os.write(writer, word.encode()[:2000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        if word := told.read():
            failures[name] = word
    os.wait()
print(json.dumps(failures))
"""


def third_party() -> list[str]:
    found = set()
    for path in sources():
        for node in parse(path).body:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module)
    return sorted(name for name in found if name.split(".")[0] != "codelab")


def run_python(code: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-c", code, *arguments],
        input=stdin,
        env=ENVIRONMENT,
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(400)
def test_each_module_imports_alone_without_io_or_keys():
    # Migrations run inside alembic only; `__main__` runs a program.
    skipped = ("store/migrations/", "__main__.py")
    modules = [module_of(f) for f in sources() if not name_of(f).startswith(skipped) and f.name not in skipped]
    for source in sources():  # the forks may write nothing: without byte code each would compile what it imports
        py_compile.compile(str(source), doraise=True)
    done = run_python(PROBE, stdin=json.dumps([third_party(), modules]))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_the_public_face_imports_nobody():
    code = """
import json, sys
before = set(sys.modules)
import codelab
assert set(dir(codelab)) >= {"CodeLab", "AgentSpec", "build_graph", "create_app"}
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(new - sys.stdlib_module_names - {"codelab"})))
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_the_command_line_helps_without_the_heavy_libraries():
    code = """
import json, sys
sys.argv = ["codelab", "--help"]
try:
    from codelab.cli import main
    main()
except SystemExit as done:
    assert not done.code, done.code
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = {
        "langchain",
        "langchain_core",
        "langchain_openai",
        "langgraph",
        "sqlalchemy",
        "fastapi",
        "openai",
        "alembic",
    }
    assert not loaded & heavy
    named = set(re.findall(r"(?:^|`)codelab ([a-z]+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE))
    assert "serve" in done.stdout
    assert not {command for command in named if command not in done.stdout}
