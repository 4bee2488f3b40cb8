"""Connecting a device on a page: the code, the question, the answer."""

import pytest
from sqlalchemy import select

from codelab.store.models import DeviceCodeRow
from tests.support.site import PASSWORD, hidden


@pytest.fixture
async def waiting(site) -> dict[str, str]:
    """What a device was told that waits."""
    answer = await site.http.post(
        "/oauth/device_authorization", data={"client_id": "codelab-cli", "scope": "threads:read runs:write"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def decision(site) -> bool | None:
    async with site.identity.database.read() as session:
        return (await session.scalars(select(DeviceCodeRow.approved))).one()


async def test_a_person_signs_in_types_the_code_and_allows(site, waiting):
    asked = await site.http.get("/device")
    assert asked.headers["location"] == "/login?next=%2Fdevice"
    await site.sign_in()
    typed = waiting["user_code"].lower().replace("-", " ")
    answer = await site.send("/device", user_code=typed)
    assert answer.status_code == 303
    page = await site.http.get(answer.headers["location"])
    assert page.status_code == 200
    assert waiting["user_code"] in page.text
    assert "see your threads" in page.text
    assert "ann@example.org" in page.text
    assert await decision(site) is None  # looking at it decides nothing
    done = await site.http.post("/device", data={**hidden(page.text), "action": "allow"})
    assert (done.status_code, done.headers["location"]) == (303, "/device?done=allowed")
    assert "Go back to your device" in (await site.http.get("/device?done=allowed")).text
    assert await decision(site) is True


async def test_a_person_denies(site, waiting):
    await site.sign_in()
    done = await site.send(f"/device?user_code={waiting['user_code']}", action="deny")
    assert done.headers["location"] == "/device?done=denied"
    assert await decision(site) is False
    again = await site.send("/device", user_code=waiting["user_code"], action="allow")
    assert again.status_code == 404
    assert await decision(site) is False


async def test_a_link_leads_to_the_question_after_signing_in(site, waiting):
    asked = await site.http.get(waiting["verification_uri_complete"])
    answer = await site.send(asked.headers["location"], "/login", username="ann@example.org", password=PASSWORD)
    assert answer.headers["location"] == f"/device?user_code={waiting['user_code']}"


@pytest.mark.parametrize("csrf", ["", "0" * 64, "foreign"])
async def test_nobody_allows_without_their_own_form(site, waiting, csrf):
    await site.person("bob@example.org")
    async with site.browser() as other:
        await site.sign_in("bob@example.org", http=other)
        foreign = hidden((await other.get("/device")).text)["csrf"]
    await site.sign_in()
    fields = {"user_code": waiting["user_code"], "action": "allow", "csrf": foreign if csrf == "foreign" else csrf}
    answer = await site.http.post("/device", data=fields)
    assert answer.status_code == 403
    assert "expired" in answer.text
    assert waiting["user_code"] in answer.text
    assert await decision(site) is None


async def test_a_foreign_page_allows_nothing(site, waiting):
    await site.sign_in()
    page = hidden((await site.http.get(f"/device?user_code={waiting['user_code']}")).text)
    answer = await site.http.post("/device", data={**page, "action": "allow"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert await decision(site) is None


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("code", ["BBBB-BBBB", "x", "<b>", "ü" * 8, "B" * 500])
async def test_a_code_that_nobody_shows_is_said_to_be(site, code):
    await site.sign_in()
    answer = await site.http.get("/device", params={"user_code": code})
    assert answer.status_code == 404
    assert "No device waits" in answer.text
    assert "<b>" not in answer.text


async def test_codes_are_not_guessed_for_long(site, waiting):
    await site.sign_in()
    answers = [await site.http.get("/device?user_code=BBBB-BBBB") for _ in range(31)]
    assert answers[-1].status_code == 429
    right = await site.send("/device", user_code=waiting["user_code"], action="allow")
    assert right.status_code == 429
    assert await decision(site) is None
