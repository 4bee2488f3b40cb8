"""Many at once over HTTP through the whole application, on both databases."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import httpx

from codelab.store.models import TokenFamilyRow
from tests.auth.load.conftest import TRIES, WRONG, refused_because, rows
from tests.support.identity import REDIRECT, VERIFIER, answer_of, asked
from tests.support.site import EMAIL, PASSWORD, Site


async def code_for_web(site: Site) -> str:
    """Ann signs in and allows it."""
    await site.sign_in()
    page = f"/oauth/authorize?{urlencode(asked())}"
    return answer_of(await site.send(page, "/oauth/authorize", action="allow"))["code"]


async def token(site: Site, **form: str) -> httpx.Response:
    return await site.http.post("/oauth/token", data={"client_id": "web", **form})


async def redeem(site: Site, code: str) -> httpx.Response:
    form = {"code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    return await token(site, grant_type="authorization_code", **form)


async def opens(access_token: str, site: Site) -> bool:
    """Whether the API lets somebody in with a token."""
    async with site.browser() as http:
        answer = await http.get("/api/v1/threads", headers={"authorization": f"Bearer {access_token}"})
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 200


async def test_of_one_code_shown_eight_times_at_once_one_is_good(whole):  # attack 7
    code = await code_for_web(whole)
    answers = await asyncio.gather(*(redeem(whole, code) for _ in range(8)))
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert {answer.json()["error"] for answer in answers if answer not in good} == {"invalid_grant"}
    (family,) = await rows(whole, TokenFamilyRow)
    assert family.reason == "reused"
    assert not await opens(good[0].json()["access_token"], whole)
    dead = await token(whole, grant_type="refresh_token", refresh_token=good[0].json()["refresh_token"])
    assert dead.json()["error"] == "invalid_grant"


async def test_of_one_refresh_token_shown_twenty_times_at_once_one_is_good(whole):  # attack 20
    tokens = (await redeem(whole, await code_for_web(whole))).json()
    assert await opens(tokens["access_token"], whole)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    answers = await asyncio.gather(*(token(whole, **form) for _ in range(20)))
    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"invalid_grant"}
    (family,) = await rows(whole, TokenFamilyRow)
    assert family.reason == "reused"
    for access_token in (tokens["access_token"], good[0]["access_token"]):
        assert not await opens(access_token, whole)


async def test_of_fifty_wrong_passwords_at_once_no_more_are_looked_at_than_are_allowed(whole):  # attack 26
    answers = await asyncio.gather(*(whole.http.post("/oauth/token", data=WRONG) for _ in range(50)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(400, answers[0].text)}
    because = await refused_because(whole)
    assert because.count("wrong") == TRIES
    assert set(because) == {"wrong", "locked"}
    right = await whole.http.post("/oauth/token", data={**WRONG, "password": PASSWORD})
    assert (right.status_code, right.text) == (400, answers[0].text)
    page = await whole.send("/login", username=EMAIL, password=PASSWORD)
    assert page.status_code == 401
