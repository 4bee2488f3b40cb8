"""Making an account, confirming its address, choosing another password."""

import pytest

from codelab.auth.users.addresses import normal_email
from codelab.core.types import Principal
from tests.support.site import EMAIL, PASSWORD, hidden, open_site

NEW = "new person's password"


async def register(site, email: str = "new@example.org", at: str = "/register", **typed: str):
    return await site.send(at, "/register", **{"name": "New", "username": email, "password": NEW, **typed})


async def test_an_account_is_made_and_confirmed_with_a_click(site):
    answer = await register(site)
    assert (answer.status_code, answer.headers["location"]) == (303, "/register?done=sent")
    assert "mail with a link" in (await site.http.get("/register?done=sent")).text
    early = await site.send("/login", username="new@example.org", password=NEW)
    assert early.status_code == 401
    link = await site.last_link()
    assert link.startswith("/verify?token=")
    await site.http.get(link)  # what a mail scanner does
    assert (await site.send("/login", username="new@example.org", password=NEW)).status_code == 401
    done = await site.send(link, "/verify")
    assert (done.status_code, done.headers["location"]) == (303, "/login?done=verified")
    assert (await site.send("/login", username="new@example.org", password=NEW)).status_code == 303
    again = await site.send(link, "/verify")
    assert again.status_code == 422
    assert 'role="alert"' in again.text


async def test_an_address_that_is_known_is_answered_alike(site):
    known, new = await register(site, EMAIL), await register(site, "other@example.org")
    assert (known.status_code, known.headers["location"]) == (new.status_code, new.headers["location"])
    assert known.content == new.content


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"password": "short"}, "fewer than 8"),
        ({"password": "iloveyou1"}, "guessed first"),
        ({"username": "no address"}, "name@example.org"),
        ({"password": "new@example.org"}, "too close"),
    ],
)
async def test_what_is_refused_keeps_what_was_typed_but_the_password(site, typed, said):
    answer = await register(site, **typed)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="New"' in answer.text
    assert f'value="{typed.get("username", "new@example.org")}"' in answer.text
    assert 'autocomplete="new-password" required' in answer.text


async def test_an_old_form_is_shown_again(site):
    for path in ("/register", "/forgot", "/reset", "/verify"):
        answer = await site.http.post(path, data={"csrf": "x", "username": EMAIL, "token": "t", "password": NEW})
        assert answer.status_code == 403
        assert "expired" in answer.text
        assert NEW not in answer.text


async def test_without_registration_there_is_no_such_page(tmp_path, sqlite_url):
    async with open_site(tmp_path, sqlite_url) as site:
        assert (await site.http.get("/register")).status_code == 404
        assert (await site.http.get("/register?invite=" + "x" * 43)).status_code == 404
        csrf = hidden((await site.http.get("/forgot")).text)["csrf"]
        answer = await site.http.post("/register", data={"csrf": csrf, "username": EMAIL, "password": NEW})
        assert answer.status_code == 404
        assert "/register" not in (await site.http.get("/login")).text


async def test_an_invitation_is_good_once(tmp_path, sqlite_url):
    async with open_site(tmp_path, sqlite_url, registration="invite") as site:
        admin = await site.person("admin@example.org", roles=("admin",))
        scopes = await site.identity.permissions.of_user(admin.id, "default")
        invite = await site.identity.accounts.invites.create(
            Principal(admin.id, scopes=scopes), normal_email("new@example.org")
        )
        link = invite.link.removeprefix(site.identity.issuer)
        assert (await site.http.get("/register")).status_code == 404
        assert "You were invited" in (await site.http.get(link)).text
        other = await register(site, "other@example.org", at=link)
        assert other.status_code == 422
        assert (await register(site, at=link)).status_code == 303
        assert (await site.send("/login", username="new@example.org", password=NEW)).status_code == 303
        used = await site.http.get(link)
        assert used.status_code == 404
        assert "too old" in used.text


async def test_a_forgotten_password_is_replaced_once_and_sessions_end(site):
    await site.sign_in()
    async with site.browser() as other:
        asked = await site.send("/forgot", http=other, username=EMAIL)
        unknown = await site.send("/forgot", http=other, username="nobody@example.org")
        odd = await site.send("/forgot", http=other, username="no address")
        assert {a.headers["location"] for a in (asked, unknown, odd)} == {"/forgot?done=sent"}
        link = await site.last_link()
        page = await other.get(link)
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        weak = await site.send(link, "/reset", http=other, password="short")
        assert weak.status_code == 422
        done = await site.send(link, "/reset", http=other, password=NEW)
        assert (done.status_code, done.headers["location"]) == (303, "/login?done=reset")
        assert "Sign in with the new one" in (await other.get("/login?done=reset")).text
        again = await site.send(link, "/reset", http=other, password=PASSWORD)
        assert again.status_code == 422
        assert "too old" in again.text
    assert (await site.http.get("/account")).status_code == 303
    assert (await site.send("/login", username=EMAIL, password=PASSWORD)).status_code == 401
    assert (await site.send("/login", username=EMAIL, password=NEW)).status_code == 303


async def test_the_host_of_a_request_does_not_change_where_links_lead(site):
    fields = {**hidden((await site.http.get("/forgot")).text), "username": EMAIL}
    headers = {"host": "localhost:8000", "x-forwarded-host": "evil.example"}
    refused = await site.http.post("/forgot", data=fields, headers={"host": "evil.example"})
    assert refused.status_code >= 400
    cookie = f"pre={site.http.cookies['pre']}"
    answer = await site.http.post("/forgot", data=fields, headers={**headers, "cookie": cookie})
    assert answer.status_code == 303
    assert (await site.last_link()).startswith("/reset?token=")  # of the issuer's address, else nothing is found


async def test_the_first_administrator_comes_in_by_a_link(site):
    link = site.identity.first_link.removeprefix(site.identity.issuer)
    assert (await site.send(link, "/reset", password=NEW)).status_code == 303
    assert (await site.send("/login", username="admin@localhost", password=NEW)).status_code == 303
