"""The state of the providers over REST: names, states, reasons; for those who run the gateway."""

import httpx

from codelab.llm.errors import ConnectFailed


async def test_the_state_of_each_model_is_shown(client: httpx.AsyncClient):
    answer = await client.get("/api/v1/providers")
    assert answer.status_code == 200
    (demo,) = answer.json()["providers"]
    assert (demo["name"], demo["state"]) == ("demo", "closed")
    assert demo["models"][0]["id"] == "demo"
    assert demo["models"][0]["last_error"] is None


async def test_who_is_left_alone_why_and_until_when(client: httpx.AsyncClient):
    llm = client.app.state.runtime.llm  # type: ignore[attr-defined]
    line = llm.upstreams.lines.of(llm.catalogue.find("demo"))
    for _ in range(5):
        call = line.enter()
        call.failed(ConnectFailed("nobody there"))
        call.close()
    (demo,) = (await client.get("/api/v1/providers")).json()["providers"]
    assert demo["state"] == demo["models"][0]["state"] == "open"
    assert 0 < demo["retry_in_s"] <= 5
    assert demo["models"][0]["last_error"] == "upstream_unreachable"


async def test_it_is_for_those_who_run_the_gateway(people: httpx.AsyncClient):
    reader = await people.get("/api/v1/providers", headers={"authorization": "Bearer reader-rita"})
    assert reader.status_code == 403
    admin = await people.get("/api/v1/providers", headers={"authorization": "Bearer alice"})
    assert admin.status_code == 200
