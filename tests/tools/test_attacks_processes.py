"""What a command could do to the machine and to its worker, tried for real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from codelab.tools.processes import run_supervised

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can be asked for this")
NOBODY = 65_534
PEEK = "import sys; sys.stdout.write(open(f'/proc/{sys.argv[1]}/environ').read())"
KEEPER = "from codelab.tools.processes import keep_private; keep_private(); print('up', flush=True); input()"


@linux
async def test_the_number_of_processes_is_bounded(tmp_path: Path) -> None:
    script = "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC)[0])"
    result = await run_supervised([sys.executable, "-c", script], cwd=tmp_path, timeout_s=20)
    assert 4096 <= int(result.output) < 200_000


async def test_no_descriptor_of_the_worker_is_inherited(tmp_path: Path) -> None:
    kept = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(kept, True)
    try:
        script = f"import os\ntry: print(os.readlink('/proc/self/fd/{kept}'))\nexcept OSError: print('closed')"
        result = await run_supervised([sys.executable, "-c", script], cwd=tmp_path, timeout_s=20)
    finally:
        os.close(kept)
    assert str(tmp_path) not in result.output


@linux
def test_a_worker_keeps_its_environment_to_itself() -> None:
    env = os.environ | {"API_KEY": "hush-hush-hush"}
    pipe = subprocess.PIPE
    # As root every process may be read, so both are somebody else then.
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    python = "/usr/bin/python3" if os.getuid() == 0 else sys.executable
    source = Path(__file__).parents[2] / "tools" / "processes.py"
    if os.getuid() == 0 and not Path(python).exists():
        pytest.skip("no interpreter that another user may run")
    keeper = KEEPER if os.getuid() else _lifted(source)
    with subprocess.Popen([python, "-c", keeper], env=env, stdin=pipe, stdout=pipe, text=True, **user) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "up\n"
        command = [python, "-c", PEEK, str(worker.pid)]
        peek = subprocess.run(command, check=False, capture_output=True, text=True, **user)
        worker.communicate("\n")
    assert peek.returncode != 0
    assert "hush" not in peek.stdout


def _lifted(source: Path) -> str:
    """Take the function out of its module, for an interpreter without our dependencies."""
    text = source.read_text()
    body = text[text.index("def keep_private") : text.index("def clean_env")]
    return f"import ctypes, sys\n_PR_SET_DUMPABLE = 4\n{body}\nkeep_private(); print('up', flush=True); input()"
