"""The account page: what one sees and changes of oneself."""

import httpx
import pytest
from sqlalchemy import select

from codelab.auth.seams import Origin
from codelab.core.types import new_id, utc_now
from codelab.store.models import ConsentRow, TokenFamilyRow
from tests.support.site import EMAIL, PASSWORD, hidden

ORIGIN = Origin(address="192.0.2.7")
POSTS = [
    ("/account/profile", {"name": "Eve"}),
    ("/account/email", {"new_email": "eve@example.org", "email_password": PASSWORD}),
    ("/account/password", {"current_password": PASSWORD, "new_password": "another good password"}),
    ("/account/sessions/end-others", {}),
    ("/account/sessions/some/end", {}),
    ("/account/grants/web/revoke", {}),
    ("/account/keys", {"key_name": "eve"}),
    ("/account/keys/some/revoke", {}),
]


async def act(site, action: str, **typed: str) -> httpx.Response:
    """Send a form of the account page."""
    return await site.send("/account", action, **typed)


async def shown(site, answer: httpx.Response) -> str:
    """The page that an action leads on to."""
    assert answer.status_code == 303, answer.text
    page = await site.http.get(answer.headers["location"])
    assert page.status_code == 200
    return page.text


async def allow(site, user_id: str, client_id: str = "web") -> str:
    """Have a person allow a client; the id of the tokens' family."""
    await site.client(client_id, "https://client.example/cb")
    now, family = utc_now(), new_id()
    consent = ConsentRow(
        user_id=user_id,
        client_id=client_id,
        scopes=["threads:read"],
        created_at=now,
        updated_at=now,
        owner_id=user_id,
        tenant_id="default",
    )
    tokens = TokenFamilyRow(
        id=family,
        client_id=client_id,
        user_id=user_id,
        scope="threads:read runs:read",
        amr=["pwd"],
        acr="1",
        auth_time=now,
        created_at=now,
        last_used_at=now,
        expires_at=now.replace(year=now.year + 1),
        owner_id=user_id,
        tenant_id="default",
    )
    async with site.identity.database.transaction() as session:
        session.add_all([consent, tokens])
    return family


async def principal(site, http=None):
    """Who a browser's session is of."""
    token = (http or site.http).cookies["sid"]
    found = await site.app.state.auth.cookie(token)
    assert found is not None
    return found


async def test_who_is_not_signed_in_is_asked_to(site):
    answer = await site.http.get("/account?done=key")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Faccount%3Fdone%3Dkey")


@pytest.mark.parametrize(("action", "typed"), POSTS, ids=[action for action, _ in POSTS])
async def test_nothing_changes_without_ones_own_form(site, action, typed):
    await site.person("bob@example.org", name="Bob")
    await site.sign_in()
    async with site.browser() as other:
        await site.sign_in("bob@example.org", http=other)
        foreign = hidden((await other.get("/account")).text)["csrf"]
    for csrf in ("", foreign):
        answer = await site.http.post(action, data={**typed, "csrf": csrf})
        assert answer.status_code == 403
        assert "expired" in answer.text
    page = (await site.http.get("/account")).text
    assert 'value="Ann"' in page
    assert "no API key" in page
    own = hidden(page)["csrf"]
    for site_of in ("cross-site", "same-site"):
        answer = await site.http.post(action, data={**typed, "csrf": own}, headers={"sec-fetch-site": site_of})
        assert answer.status_code == 403
    assert (await site.identity.sign_in.begin(EMAIL, PASSWORD, ORIGIN)).session


@pytest.mark.parametrize(("action", "typed"), POSTS, ids=[action for action, _ in POSTS])
async def test_a_token_opens_no_account_page(site, action, typed):
    answer = await site.http.post(action, data=typed, headers={"authorization": "Bearer x"})
    assert answer.status_code == 401


async def test_a_name_is_changed_and_shown_escaped(site):
    await site.sign_in()
    page = await shown(site, await act(site, "/account/profile", name='<img src=x onerror="alert(1)">'))
    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert "profile was saved" in page
    refused = await act(site, "/account/profile", name="x" * 200)
    assert refused.status_code == 422
    assert 'role="alert"' in refused.text
    assert "x" * 200 in refused.text


async def test_another_password_ends_the_other_sessions(site):
    await site.sign_in()
    async with site.browser() as other:
        await site.sign_in(http=other)
        page = await shown(
            site, await act(site, "/account/password", current_password=PASSWORD, new_password="another good password")
        )
        assert "other sessions are over" in page
        assert (await other.get("/account")).status_code == 303
    assert (await site.http.get("/account")).status_code == 200


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("wrong", "another good password", "not right"),
        (PASSWORD, "short", "fewer than 8"),
        (PASSWORD, "password123", "guessed first"),
        (PASSWORD, EMAIL, "too close"),
        (PASSWORD, "x" * 300, "too long"),
    ],
)
async def test_a_password_that_is_refused_changes_nothing(site, old, new, said):
    await site.sign_in()
    answer = await act(site, "/account/password", current_password=old, new_password=new)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'type="password" autocomplete="new-password" value="' not in answer.text
    assert new == EMAIL or new not in answer.text
    assert (await site.identity.sign_in.begin(EMAIL, PASSWORD, ORIGIN)).session


async def test_a_new_address_counts_once_its_link_is_opened(site):
    await site.sign_in()
    page = await shown(site, await act(site, "/account/email", new_email="new@example.org", email_password=PASSWORD))
    assert "on its way" in page
    wrong = await act(site, "/account/email", new_email="new@example.org", email_password="wrong")
    assert wrong.status_code == 422
    assert 'value="new@example.org"' in wrong.text
    bad = await act(site, "/account/email", new_email="no address", email_password=PASSWORD)
    assert bad.status_code == 422
    assert EMAIL in (await site.http.get("/account")).text


async def test_sessions_are_listed_and_ended(site):
    await site.sign_in()
    async with site.browser() as phone, site.browser() as other:
        phone.headers["user-agent"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) Version/19.0 Safari/604.1"
        await site.sign_in(http=phone)
        await site.sign_in(http=other)
        page = (await site.http.get("/account")).text
        assert "Safari on iPhone" in page
        assert page.count("this browser") == 1
        mine = await site.identity.sessions.list(await principal(site))
        one = next(item for item in mine if "iPhone" in item.user_agent)
        assert "is over" in await shown(site, await act(site, f"/account/sessions/{one.id}/end"))
        assert (await phone.get("/account")).status_code == 303
        assert (await other.get("/account")).status_code == 200
        await shown(site, await act(site, "/account/sessions/end-others"))
        assert (await other.get("/account")).status_code == 303
    assert (await site.http.get("/account")).status_code == 200


async def test_nobody_ends_anothers_session_or_key_or_access(site):
    bob = await site.person("bob@example.org", name="Bob")
    family = await allow(site, bob.id)
    async with site.browser() as other:
        await site.sign_in("bob@example.org", http=other)
        made = await site.send("/account", "/account/keys", http=other, key_name="bobs")
        assert made.status_code == 200
        theirs = await principal(site, other)
        session = (await site.identity.sessions.list(theirs))[0].id
        key = (await site.app.state.api_keys.list(theirs))[0].id
        await site.sign_in()
        assert "bobs" not in (await site.http.get("/account")).text
        assert (await act(site, f"/account/sessions/{session}/end")).status_code == 404
        assert (await act(site, f"/account/keys/{key}/revoke")).status_code == 404
        assert (await act(site, "/account/grants/web/revoke")).status_code == 303
        assert (await other.get("/account")).status_code == 200
        assert (await site.app.state.api_keys.list(theirs))[0].revoked_at is None
    async with site.identity.database.read() as session:
        assert (await session.get_one(TokenFamilyRow, family)).revoked_at is None
        assert (await session.scalars(select(ConsentRow.user_id))).all() == [bob.id]


async def test_access_of_an_application_is_taken_away(site):
    await site.sign_in()
    me = await principal(site)
    family = await allow(site, me.user_id)
    page = (await site.http.get("/account")).text
    assert "Web" in page
    assert "see your threads" in page
    assert "follow what your agents do" in page
    page = await shown(site, await act(site, "/account/grants/web/revoke"))
    assert "No application has access" in page
    async with site.identity.database.read() as session:
        row = await session.get_one(TokenFamilyRow, family)
        assert row.reason == "consent_revoked"
        assert (await session.scalars(select(ConsentRow))).all() == []
    assert site.identity.revocations.is_revoked({"fid": family, "iat": utc_now().timestamp() - 5})
    entries = await site.identity.audit.list(me, type="auth.consent_revoked")
    assert len(entries) == 1


async def test_a_key_is_shown_once(site):
    await site.sign_in()
    made = await act(site, "/account/keys", key_name="my script", expires_in_days="30")
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    assert "sk-cl-" in made.text
    key = (await site.app.state.api_keys.list(await principal(site)))[0]
    page = (await site.http.get("/account")).text
    assert "my script" in page
    secret = made.text.partition('class="secret">')[2].partition("<")[0]
    assert secret.startswith(key.prefix)
    assert secret not in page
    assert "revoked" in await shown(site, await act(site, f"/account/keys/{key.id}/revoke"))
    for name, days in (("", "30"), ("x", "-1"), ("x", "a"), ("x\u202e", "30")):
        refused = await act(site, "/account/keys", key_name=name, expires_in_days=days)
        assert refused.status_code == 422
        assert 'role="alert"' in refused.text


async def test_who_may_only_look_changes_nothing_of_keys(site):
    await site.person("eve@example.org", roles=("viewer",), name="Eve")
    await site.sign_in("eve@example.org")
    assert (await act(site, "/account/keys", key_name="x")).status_code == 403
    assert (await act(site, "/account/profile", name="E.")).status_code == 303
