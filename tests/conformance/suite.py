"""What the suite needs on disk, in a folder that git ignores: the sdist, and an environment of its own.

The environment holds our locked requirements, ourselves, what the suite's graphs import and what its tests need. It is
made once and made anew when one of those changes.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

from tests.support.tree import ROOT

HOME: Final = ROOT / ".conformance"
VERSION: Final = "0.4.14"
SDIST: Final = HOME / f"langgraph_sdk-{VERSION}"
CONFIG: Final = SDIST / "integration" / "langgraph.json"
TESTS: Final = 55

_GRAPHS: Final = ("deepagents",)
_TESTS: Final = ("pytest", "pytest-asyncio", "pytest-timeout")
_PEER: Final = ("langgraph-cli[inmem]",)


class UnpreparedError(Exception):
    """Something the suite needs could not be had; the message says what."""


def call(*argv: str | Path) -> None:
    """Run a command to its end.

    Raises:
        UnpreparedError: It failed; what it said is in the message.
    """
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise UnpreparedError(f"{' '.join(str(a) for a in argv)}\n{(done.stdout + done.stderr)[-4000:]}")


def sdist() -> Path:
    """Download the source distribution and unpack it; only what it holds of the suite matters."""
    if CONFIG.exists():
        return SDIST
    HOME.mkdir(exist_ok=True)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    call(*pip, "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", HOME, f"langgraph-sdk=={VERSION}")
    with tarfile.open(HOME / f"{SDIST.name}.tar.gz") as archive:
        archive.extractall(HOME, filter="data")
    return SDIST


def environment(*, peer: bool = False) -> Path:
    """Make or reuse an environment; its folder of programs.

    Args:
        peer: With `langgraph dev` in it.
    """
    folder = HOME / ("peer" if peer else "venv")
    lock = ROOT / ("requirements-dev.lock" if peer else "requirements.lock")
    wanted = (*_GRAPHS, *_TESTS, *(_PEER if peer else ()))
    made_of = hashlib.sha256(lock.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + repr(wanted).encode())
    stamp = folder / ".made-of"
    if not stamp.exists() or stamp.read_text("utf-8") != made_of.hexdigest():
        _make(folder, wanted)
        stamp.write_text(made_of.hexdigest(), "utf-8")
    return folder / "bin"


def _make(folder: Path, wanted: tuple[str, ...]) -> None:
    uv = Path(sys.executable).with_name("uv")
    call(uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder)
    install = (uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python")
    call(*install, "--require-hashes", "-r", ROOT / "requirements.lock")
    pins = HOME / "pins.txt"  # versions only: what is added below has no hashes
    locked = (ROOT / "requirements-dev.lock").read_text("utf-8")
    pins.write_text("".join(f"{pin}\n" for pin in re.findall(r"^[^\s#][^\\\n]*", locked, re.MULTILINE)), "utf-8")
    call(*install, "-c", pins, *wanted)
    call(*install, "--no-deps", "-e", ROOT)
