"""CPU of LangChain chat models over a bare upstream on the other core: ours over the gateway, and ChatOpenAI.

python -m bench.llm_chat_models PORT
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from codelab.core.settings import DatabaseSettings, Settings
from codelab.core.settings_llm import LLMSettings, ModelNames
from codelab.llm.models import GatewayModels
from codelab.runtime.llm import open_gateway
from codelab.store.engine import Database
from codelab.store.migrate import prepare

_ASKED: Final = "x" * 500
_SERVE: Final = "import asyncio,bench.llm_load as l;asyncio.run(l.serve(%d))"


async def cpu(model: BaseChatModel) -> dict[str, float]:
    """Milliseconds of CPU of a whole answer and of a streamed one."""

    async def whole() -> None:
        await model.ainvoke(_ASKED)

    async def streamed() -> None:
        async for _ in model.astream(_ASKED):
            pass

    found = {}
    for name, ask, count in (("invoke", whole, 300), ("astream", streamed, 100)):
        for _ in range(20):
            await ask()
        began = time.process_time()
        for _ in range(count):
            await ask()
        found[name] = (time.process_time() - began) / count * 1000
    return found


async def measure(port: int) -> dict[str, float]:
    """Measure both."""
    url, key = f"http://127.0.0.1:{port}/v1", SecretStr("none")
    with tempfile.TemporaryDirectory() as folder:
        file = f"sqlite:///{Path(folder) / 'a.db'}"
        llm = LLMSettings(base_url=url, api_key=key, models=ModelNames(strong="bench"))
        settings = Settings(data_dir=Path(folder), database=DatabaseSettings(url=file), llm=llm)
        database = Database(file)
        await prepare(database)
        async with open_gateway(settings, database) as gateway:
            ours = await cpu(GatewayModels(gateway.gateway, gateway.catalogue).chat("strong"))
        await database.close()
    theirs = await cpu(ChatOpenAI(model="bench", base_url=url, api_key=key, stream_usage=True))
    named: dict[str, Any] = {f"ours_{name}": value for name, value in ours.items()}
    return named | {f"openai_{name}": value for name, value in theirs.items()}


def main() -> None:
    """Serve the upstream elsewhere, measure here."""
    port = int(sys.argv[1])
    upstream = subprocess.Popen(["taskset", "-c", "1", sys.executable, "-c", _SERVE % port])
    try:
        time.sleep(1)
        sys.stdout.write(json.dumps(asyncio.run(measure(port))) + "\n")
    finally:
        upstream.kill()


if __name__ == "__main__":
    main()
