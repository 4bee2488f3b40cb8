"""Ways around an application's rules: what the routes serve, the rules were asked about."""

import pytest

from tests.agent_api.test_config_auth import RULES
from tests.support.configs import config_served, project


@pytest.fixture
async def ruled(tmp_path, database_url):
    path = project(tmp_path, {"auth.py": RULES}, auth={"path": "./auth.py:auth"})
    async with config_served(path, database_url) as client:
        yield client


@pytest.mark.parametrize("end", ["%0A", "%0A%0A", "%0D", "%C2%85", "%E2%80%A8", "/%0A", "%0A/"])
async def test_no_ending_of_an_address_gets_past_the_rules(ruled, end):
    """The expressions of routes let a line feed follow what they match; those of the rules do not."""
    ann = ruled("ann")
    thread = (await ann.post("/threads", json={})).json()["thread_id"]
    run = {"assistant_id": "echo", "input": {"log": ["forbidden"]}}
    for method, path, body in (
        ("POST", "/runs/wait", run),
        ("POST", f"/threads/{thread}/runs", run),
        ("DELETE", f"/threads/{thread}", None),
        ("PUT", "/store/items", {"namespace": ["bob"], "key": "secret", "value": {}}),
        ("POST", "/threads/search", {}),
        ("POST", "/threads", {}),
        ("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    ):
        answer = await ann.request(method, f"{path}{end}", json=body)
        assert answer.status_code == 422, (method, path, answer.text)
        assert answer.json() == {"detail": "The address holds a control character"}
    assert (await ann.get(f"/threads/{thread}")).status_code == 200
