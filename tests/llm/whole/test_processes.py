"""The server as a process: killed, and as the first page has it started."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.service import TOKEN, Service, scripted_server, until
from tests.support.tree import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SCRIPT = "name: kill\nreplies:\n  - text: Said and done.\n"
ASKED = {"model": "strong", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
CATALOGUE = "models: {scripted-strong: {provider: openai, price: {input: 1, output: 5}}}"


@pytest.fixture
def service(tmp_path: Path, git_repo: Path) -> Iterator[Service]:
    (tmp_path / "data").mkdir()
    script, catalog = tmp_path / "kill.yaml", tmp_path / "models.yaml"
    script.write_text(SCRIPT, "utf-8")
    catalog.write_text(CATALOGUE, "utf-8")
    with scripted_server(script) as url:
        env = {"CODELAB_LLM__CATALOG": str(catalog), "CODELAB_LLM__BUDGETS__LEASE_S": "1"}
        running = Service(git_repo, tmp_path / "data", None, url, env)
        yield running.start()
        running.kill()


def total(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/v1/usage").json()["total"]
    return found


def test_a_kill_loses_a_batch_of_rows_at_most_and_no_money(service: Service) -> None:
    """What was told as written is there; what a budget had given away counts as spent, and no more than that."""
    with service.client() as client:
        made = client.put("/api/v1/budgets", json={"scope": "tenant", "period": "total", "limit": 10**8}).json()
        for _ in range(20):
            assert client.post("/v1/chat/completions", json=ASKED).status_code == 200
        before = until(lambda: (found := total(client))["requests"] == 20 and found, "twenty rows")
        assert before["cost"] > 0
        for _ in range(5):
            assert client.post("/v1/chat/completions", json=ASKED).status_code == 200
        service.kill()
    service.start()
    with service.client() as client:
        after = total(client)
        assert 20 <= after["requests"] <= 25
        assert after["cost"] >= before["cost"]

        def settled() -> Any:
            (account,) = client.get(f"/api/v1/budgets/{made['id']}").json()["accounts"]
            return account if account["reserved"] == 0 else None

        account = until(settled, "what the dead held to be counted")
        assert after["cost"] <= account["spent"] <= 10**8
        assert client.post("/v1/chat/completions", json=ASKED).status_code == 200
        until(lambda: total(client)["requests"] == after["requests"] + 1, "the next row")


def test_the_first_page_asks_for_a_model(tmp_path: Path, git_repo: Path) -> None:
    """Its lines as they are written, on another port: without a key the demo model answers."""
    page = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    helper = next(line for block in blocks for line in block.splitlines() if line.startswith("api() {"))
    lines = next(block for block in blocks if "/v1/chat/completions" in block)
    (tmp_path / "data").mkdir()
    running = Service(git_repo, tmp_path / "data").start()
    try:
        script = f"{helper}\n{lines}".replace("127.0.0.1:8000", f"127.0.0.1:{running.port}")
        done = subprocess.run(
            ["bash", "-e"],
            input=script,
            env=running.env | {"CODELAB_SERVER__TOKEN": TOKEN},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    finally:
        running.kill()
    assert '"id":"demo"' in done.stdout
    assert "Demo" in done.stdout
    assert "data: [DONE]" in done.stdout
    assert '"requests":1' in done.stdout
