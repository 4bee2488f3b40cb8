"""The product's source tree, for tests that read it."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "store", "llm", "rag", "tools", "agents", "graph", "runtime", "auth", "server", "evals", "cli")
"""Lowest first. `lab.py` stands at the root; `web` holds no Python but its paths."""
NOT_PRODUCT = {"tests", "bench", "examples", "docs", "deploy", "build", "dist"}


@cache
def sources() -> tuple[Path, ...]:
    """Every Python file of the package, hidden and generated folders left out."""
    rooms = (ROOT / room for room in (*ROOMS, "web"))
    found = [*ROOT.glob("*.py"), *(f for room in rooms for f in room.rglob("*.py"))]
    return tuple(sorted(f for f in found if "__pycache__" not in f.parts))


@cache
def test_sources() -> tuple[Path, ...]:
    """Every Python file below `tests`."""
    return tuple(sorted((ROOT / "tests").rglob("*.py")))


test_sources.__test__ = False


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file, parsed once."""
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def name_of(path: Path) -> str:
    """A path as a person writes it."""
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    """The room a file lies in; a file at the root is its own."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    """The name a file is imported by."""
    parts = ("codelab", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function of a file with its qualified name."""
    yield from _functions(parse(path), "")


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{prefix}.{child.name}" if prefix else child.name
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield inner, child
        yield from _functions(child, inner)


def imported(path: Path) -> Iterator[tuple[int, str, int]]:
    """Every import of a file: its level (0 is absolute), the module, the line."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", node.lineno


def last_name(node: ast.AST) -> str:
    """The rightmost name of `a.b.c`, of a call or of a subscript; empty for anything else."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    if isinstance(node, ast.Subscript):
        return last_name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


@cache
def tracked() -> tuple[str, ...]:
    """Every file under version control that exists in the working tree."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return tuple(name for name in done.stdout.split("\0") if name and (ROOT / name).is_file())
