"""An independent imitation of the providers, from the package index, as upstream of our adapters.

`llm-katan` installs a package named `tests`, so it is put into a folder of its own. It needs what we have.
"""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from codelab.llm.errors import Refused, ServerFailed
from tests.llm.providers.dialects import ANTHROPIC, GEMINI, OPENAI, answered, asking, connected, told

KATAN = "llm-katan==0.22.0"
PROGRAM = "from llm_katan.cli import main; main()"
VERSIONED = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}
AS_VERTEX = {"headers": {"Authorization": "Bearer somebody"}}  # it imitates Vertex AI, which wants the key there

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("katan")
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, "pip", "install", "-q", "--no-deps", "--target", folder, KATAN], check=True)
    return folder


@pytest.fixture
async def katan(folder, tmp_path):
    """Start the imitation; gives a function of its options."""
    running = []

    async def start(*options: str) -> str:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            "--model",
            "echo",
            "--backend",
            "echo",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--providers",
            "openai,anthropic,vertexai",
            "--stats-file",
            str(tmp_path / "stats.json"),
            *options,
            env=os.environ | {"PYTHONPATH": str(folder)},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        running.append(process)
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return f"http://127.0.0.1:{port}"
        raise AssertionError("it does not listen")

    yield start
    for process in running:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC, GEMINI], ids=str)
async def test_it_is_answered_streamed_and_whole(katan, dialect):
    url = await katan()
    more = AS_VERTEX if dialect is GEMINI else {}
    async with connected(dialect, url + VERSIONED[dialect.name], **more) as (adapter, model, http):
        request = {
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me of cats"}]
        }
        both = [told(await answered(adapter, model, asking(stream=stream, **request))) for stream in (True, False)]
        await asyncio.sleep(0.05)
        assert http.open_connections == 0
    for text, reason, usage in both:
        assert "cats" in text
        assert reason == "stop"
        assert usage.input_tokens > 0
        assert usage.output_tokens > 0


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC, GEMINI], ids=str)
async def test_its_faults_are_known(katan, dialect):
    failing, strict = await katan("--error-rate", "1.0"), await katan("--validate-keys")
    more = AS_VERTEX if dialect is GEMINI else {}
    for url, error in ((failing, ServerFailed), (strict, Refused)):
        async with connected(dialect, url + VERSIONED[dialect.name], **more) as (adapter, model, _):
            with pytest.raises(error):
                await answered(adapter, model, asking(stream=True))
