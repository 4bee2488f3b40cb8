"""Client programs for node: installed into a folder of their own, and talked with line by line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PACKAGES = ("oauth4webapi@3.8.8", "openid-client@6.8.9", "jose@6.2.17")
PATIENCE_S = 90


def install(folder: Path, scripts: Path) -> Path:
    """Put the packages and our scripts into a folder. In CI node must be there; a developer may do without."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("node and npm are missing: apt-get install nodejs npm")
    for script in scripts.glob("*.mjs"):
        shutil.copy(script, folder)
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-save", *PACKAGES]
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
    return folder


def run_client(
    folder: Path,
    script: str,
    scenario: str,
    told: dict[str, Any],
    *,
    opened: Callable[[str], str] | None = None,
    approved: Callable[[str, str], None] | None = None,
) -> dict[str, Any]:
    """Run a scenario of a script.

    Args:
        folder: Where it was installed.
        script: Its name.
        scenario: Which one.
        told: What it is told.
        opened: Opens an address as a person does; where they were led back to.
        approved: Approves a device, by its page and its code.
    """
    process = subprocess.Popen(
        ["node", f"{script}.mjs", scenario, json.dumps(told)],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        for line in process.stdout:
            said = json.loads(line)
            if "result" in said:
                return dict(said["result"])
            if "open" in said and opened is not None:
                answer = opened(said["open"])
            elif "approve" in said and approved is not None:
                answer = approved(said["approve"], said["code"]) or ""
            process.stdin.write(f"{json.dumps(answer)}\n")
            process.stdin.flush()
        raise AssertionError(process.stderr.read())
    finally:
        process.kill()
        process.communicate()
