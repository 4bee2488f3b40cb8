"""The whole gateway over real sockets: one provider fails in its way, another stands by."""

import socket
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from codelab.core.settings import Settings
from codelab.core.settings_llm import LLMSettings, ResilienceSettings
from codelab.llm.chat import AGENT, Caller, CompletionRequest
from codelab.llm.errors import AllDown, ConnectFailed, Interrupted
from codelab.llm.events import Text
from codelab.llm.resilience.view import overview
from codelab.llm.scripted import Script
from codelab.llm.scripted_server import serve
from codelab.runtime.llm import open_gateway

GOOD = {"text": "A good answer in some pieces."}
FAULTS = {
    "429": {"kind": "rate_limit", "retry_after": 30},
    "500": {"kind": "server_error", "status": 500},
    "cut": {"kind": "cut"},
    "malformed": {"kind": "malformed_json"},
    "silence": {"kind": "timeout", "seconds": 5},
}
TOLD = {
    "429": "rate_limited",
    "500": "upstream_error",
    "cut": "upstream_interrupted",
    "malformed": "upstream_malformed",
    "silence": "upstream_timeout",
}


def script(*replies):
    return Script.model_validate({"name": "net", "replies": replies})


@asynccontextmanager
async def gateway(folder: Path, bad: str, good: str, **rules):
    rows = {
        "providers": {name: {"kind": "openai", "base_url": url} for name, url in (("bad", bad), ("good", good))},
        "models": {
            "first": {"provider": "bad", "fallbacks": ["second"], "roles": ["strong"]},
            "second": {"provider": "good"},
        },
    }
    catalog = folder / "models.yaml"
    catalog.write_text(yaml.safe_dump(rows), "utf-8")
    resilience = ResilienceSettings(patience_s=0, **rules)
    llm = LLMSettings(catalog=catalog, timeout_s=0.3, max_retries=0, resilience=resilience)
    async with open_gateway(Settings(llm=llm, _env_file=None)) as opened:
        yield opened


async def ask(opened, *, model="first", stream=True):
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    answering = opened.answer(CompletionRequest(body=body, caller=Caller(user_id="u"), controls=AGENT))
    try:
        said = "".join([e.text async for batch in answering for e in batch.events if isinstance(e, Text)])
    finally:
        await answering.close()
    return said, answering.outcome


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("fault", list(FAULTS))
async def test_the_other_answers(tmp_path, fault, stream):
    async with (
        serve(script({"fault": FAULTS[fault]})) as bad,
        serve(script(GOOD)) as good,
        gateway(tmp_path, bad.url, good.url) as opened,
    ):
        said, outcome = await ask(opened, stream=stream)
        assert said == GOOD["text"]
        assert (outcome.provider, outcome.degraded, outcome.attempts) == ("good", "failover", 2)
        assert outcome.tried == [f"bad/first: {TOLD[fault]}", "good/second: ok"]
        assert opened.upstreams.seats.taken == 0


async def test_a_cut_after_the_first_words_is_not_mended(tmp_path):
    cut = {"text": "once upon a time there was", "fault": {"kind": "cut", "after": 3}}
    async with serve(script(cut)) as bad, serve(script(GOOD)) as good, gateway(tmp_path, bad.url, good.url) as opened:
        with pytest.raises(Interrupted):
            await ask(opened)
        assert opened.upstreams.seats.taken == 0


async def test_nobody_there_is_found_out_once(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    async with serve(script(GOOD)) as good, gateway(tmp_path, nowhere, good.url) as opened:
        tries = [(await ask(opened))[1].attempts for _ in range(7)]
        assert tries == [2] * 5 + [1] * 2
        states = {one.name: one.state for one in overview(opened.upstreams, opened.catalogue.listed()).providers}
        assert (states["bad"], states["good"]) == ("open", "closed")


async def test_where_all_are_gone_it_is_said_and_when_to_come_back(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    async with gateway(tmp_path, nowhere, nowhere, connect_failures=1) as opened:
        with pytest.raises(ConnectFailed):
            await ask(opened)
        with pytest.raises(AllDown) as told:
            await ask(opened)
        assert 1 <= told.value.retry_after <= 5
