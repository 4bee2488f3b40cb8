"""The model gateway between bare clients and a bare upstream: ours with every feature on, and LiteLLM's proxy.

The gateway has one core, clients and upstream the other. LiteLLM lives in an environment of its own below
`.conformance` (it caps openai below 3); without it the peer's column stays empty:

    uv venv .conformance/litellm/.venv && VIRTUAL_ENV=.conformance/litellm/.venv uv pip install 'litellm[proxy]'
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from bench.api_clients import rss_kib
from bench.figures import Budget, Figure
from bench.folders import work_folder
from tests.conformance.hosts import clean_environment
from tests.support.processes import free_port, spawn, stop

QUICK: Final = bool(os.environ.get("BENCH_QUICK"))
ROUNDS: Final = 1 if QUICK else 3
GATEWAY_CORE, LOAD_CORE = "0", "1"
ROOT: Final = Path(__file__).parents[1]
LITELLM: Final = ROOT / ".conformance" / "litellm" / ".venv" / "bin" / "litellm"
TOKEN: Final = "bench-token"  # noqa: S105 - of a server that lives for the measurement
_PAUSE_S: Final = 0.1
"""How long a streamed answer takes, more or less: a quick provider's."""


@dataclass(frozen=True)
class Target:
    """A running gateway."""

    port: int
    pid: int
    headers: dict[str, str]
    size: float = 1.0
    """How much of the load it gets: a slow peer would take minutes."""


BUDGETS: Final = {
    "p50": ("added latency p50, one connection", "ms", Budget(most=0.6)),
    "p99": ("added latency p99, one connection", "ms", Budget(most=1.5)),
    "rate": ("requests/s, 32 connections", "/s", Budget(least=4_000)),
    "cpu": ("CPU per request, 32 connections", "µs", Budget(most=250)),
    "events": ("SSE events/s, unpaced, 32 connections", "/s", Budget(least=100_000)),
    "first1": ("added time to first token, one connection", "ms", Budget(most=1.5)),
    "first32": ("added time to first token, 32 connections", "ms", Budget(most=1.5)),
    "hit": ("exact-cache hit", "ms", Budget(most=0.3)),
    "rss": ("resident memory after the load", "MiB", Budget(most=120)),
    "invoke": ("in process: ainvoke, CPU (peer: ChatOpenAI)", "ms", Budget(most=0.8)),
    "astream": ("in process: astream of 60 tokens, CPU (peer: ChatOpenAI)", "ms", Budget(most=2)),
}


async def measure() -> list[dict[str, Any]]:
    """Measure ours, then the peer; each has its core to itself."""
    figures = {name: Figure(what, unit, digits=2) for name, (what, unit, _) in BUDGETS.items()}
    async with work_folder() as folder:
        with ours(folder) as target:
            for _ in range(ROUNDS):
                _sample(target, figures, "ours")
            figures["rss"].ours.append(rss_mib(target.pid))
        if LITELLM.exists():
            with _litellm(folder) as target:
                _sample(target, figures, "bare")
                figures["rss"].bare.append(rss_mib(target.pid))
        _in_process(figures)
    return [figures[name].row(budget) for name, (_, _, budget) in BUDGETS.items()]


def _sample(target: Target, figures: dict[str, Figure], side: str) -> None:
    """One round of everything."""

    def note(name: str, value: float) -> None:
        getattr(figures[name], side).append(value)

    def asked(**spec: Any) -> dict[str, float]:
        return load(target, **spec)

    alone, bare = asked(connections=1, count=3000), load(None, connections=1, count=3000)
    note("p50", alone["p50"] - bare["p50"])
    note("p99", alone["p99"] - bare["p99"])
    crowd = asked(connections=32, count=20_000)
    note("rate", crowd["rate"])
    note("cpu", crowd["cpu_us"])
    note("events", asked(connections=32, count=6_000, stream=True)["events"])
    for connections, name in ((1, "first1"), (32, "first32")):
        count = 100 * connections**0.5
        ask: dict[str, Any] = {"connections": connections, "count": int(count), "stream": True, "pause": _PAUSE_S}
        note(name, asked(**ask)["first"] - load(None, **ask)["first"])
    if side == "ours":
        hit = asked(connections=1, count=2000, body={"temperature": 0}, more={"x-codelab-cache": "on"})
        note("hit", hit["p50"])


def load(target: Target | None, *, more: dict[str, str] | None = None, **asked: Any) -> dict[str, float]:
    """Run the load on its own core; without a target straight at the upstream."""
    upstream = _UPSTREAM
    count = max(20, int(asked.pop("count") * (target.size if target else 1)))
    spec = {
        "upstream": upstream,
        "port": target.port if target else upstream,
        "pid": target.pid if target else None,
        "headers": (target.headers if target else {}) | (more or {}),
        "count": count,
        "warm": min(count, 200),
        **asked,
    }
    done = subprocess.run(
        ["taskset", "-c", LOAD_CORE, sys.executable, "-m", "bench.llm_load", json.dumps(spec)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if done.returncode:
        raise RuntimeError(done.stderr or done.stdout)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


_UPSTREAM: Final = free_port()


@contextmanager
def ours(folder: Path) -> Iterator[Target]:
    """`codelab serve --roles llm` with a key, its limits, a budget, prices, the ledger and the cache."""
    port = free_port()
    catalog = folder / "catalog.yaml"
    provider = {"kind": "openai", "base_url": f"http://127.0.0.1:{_UPSTREAM}/v1"}
    model = {"provider": "upstream", "price": {"input": 0.5, "output": 1.5}, "roles": ["strong"]}
    catalog.write_text(json.dumps({"providers": {"upstream": provider}, "models": {"bench": model}}))
    env = clean_environment(
        CODELAB_DATA_DIR=str(folder / "data"),
        CODELAB_SERVER__TOKEN=TOKEN,
        CODELAB_LLM__CATALOG=str(catalog),
    )
    codelab = str(Path(sys.executable).parent / "codelab")
    subprocess.run([codelab, "db", "upgrade"], env=env, check=True, capture_output=True)
    command = [codelab, "serve", "--roles", "llm", "--port", str(port)]
    with serving(command, env, folder / "ours.log", f"http://127.0.0.1:{port}/health") as pid:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api/v1", headers={"authorization": f"Bearer {TOKEN}"}
        ) as api:
            limits = {"requests_per_minute": 1_000_000, "tokens_per_minute": 1_000_000_000}
            made = api.post("/api-keys", json={"name": "bench", "scopes": ["llm:invoke"], **limits})
            made.raise_for_status()
            budget = {"scope": "tenant", "period": "day", "limit": 10**15}
            api.put("/budgets", json=budget).raise_for_status()
        yield Target(port, pid, {"authorization": f"Bearer {made.json()['key']}"})


@contextmanager
def _litellm(folder: Path) -> Iterator[Target]:
    port = free_port()
    params = {"model": "openai/bench", "api_base": f"http://127.0.0.1:{_UPSTREAM}/v1", "api_key": "none"}
    config = folder / "litellm.yaml"
    config.write_text(
        json.dumps(
            {
                "model_list": [{"model_name": "bench", "litellm_params": params}],
                "general_settings": {"master_key": "sk-bench"},
                "litellm_settings": {"telemetry": False},
            }
        )
    )
    command = [str(LITELLM), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    env = clean_environment(LITELLM_LOG="ERROR", LITELLM_LOCAL_MODEL_COST_MAP="True")
    with serving(command, env, folder / "litellm.log", f"http://127.0.0.1:{port}/health/liveliness") as pid:
        yield Target(port, pid, {"authorization": "Bearer sk-bench"}, size=0.03)


@contextmanager
def serving(command: list[str], env: dict[str, str], log: Path, ready: str) -> Iterator[int]:
    """Run a server on the core of servers until the block ends; its process id."""
    process = spawn(["taskset", "-c", GATEWAY_CORE, *command], env=env, log=log)
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise RuntimeError(log.read_text()[-4000:])
            try:
                if httpx.get(ready, timeout=2).is_success:
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        yield process.pid
    finally:
        stop(process, signal.SIGTERM)


def rss_mib(pid: int) -> float:
    """A process's resident memory."""
    return rss_kib(pid) / 1024


def _in_process(figures: dict[str, Figure]) -> None:
    """CPU of the chat model over the gateway in this process, and of ChatOpenAI."""
    for _ in range(ROUNDS):
        done = subprocess.run(
            ["taskset", "-c", GATEWAY_CORE, sys.executable, "-m", "bench.llm_chat_models", str(_UPSTREAM)],
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        told = json.loads(done.stdout)
        for name in ("invoke", "astream"):
            figures[name].ours.append(told[f"ours_{name}"])
            figures[name].bare.append(told[f"openai_{name}"])


if __name__ == "__main__":
    sys.stdout.write("\n".join(str(row) for row in asyncio.run(measure())) + "\n")
