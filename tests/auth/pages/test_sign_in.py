"""Signing in and out, as raw HTTP."""

import re

import pytest

from tests.support.site import EMAIL, PASSWORD, hidden


async def test_who_signs_in_is_led_on_with_get(site):
    answer = await site.send("/login?next=/account", username=f" {EMAIL.upper()} ", password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("sid="))
    assert re.search("httponly", cookie, re.IGNORECASE)
    assert re.search("samesite=lax", cookie, re.IGNORECASE)
    assert re.search("path=/;", cookie, re.IGNORECASE)
    assert (await site.http.get("/account")).status_code == 200


# attack 15
@pytest.mark.parametrize(
    "there",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "/%2f/evil.example",
        "/%5Cevil.example",
        "javascript:x",
    ],
)
async def test_a_sign_in_never_leads_elsewhere(site, there):
    page = await site.http.get("/login", params={"next": there})
    assert hidden(page.text)["next"] == "/account"
    fields = {**hidden(page.text), "next": there, "username": EMAIL, "password": PASSWORD}
    answer = await site.http.post("/login", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    again = await site.http.get("/login", params={"next": there})
    assert (again.status_code, again.headers["location"]) == (303, "/account")


async def test_unknown_and_wrong_are_told_in_the_same_words(site):
    wrong = await site.send("/login", username=EMAIL, password="wrong")
    unknown = await site.send("/login", username="eve@example.org", password="wrong")
    odd = await site.send("/login", username="\u202e<script>", password="wrong")
    assert (wrong.status_code, unknown.status_code, odd.status_code) == (401, 401, 401)
    assert wrong.text.replace(EMAIL, "") == unknown.text.replace("eve@example.org", "")
    assert 'role="alert"' in wrong.text
    assert f'value="{EMAIL}"' in wrong.text
    assert "<script>" not in odd.text


async def test_too_many_tries_are_told_in_the_same_words(site):
    answers = [await site.send("/login", username=EMAIL, password="wrong") for _ in range(7)]
    right = await site.send("/login", username=EMAIL, password=PASSWORD)
    assert right.status_code == 401
    assert {answer.text for answer in answers} == {right.text}


async def test_a_password_is_never_shown_again(site):
    answer = await site.send("/login", username=EMAIL, password="my-secret-typo")
    assert "my-secret-typo" not in answer.text


@pytest.mark.parametrize("csrf", ["", "0" * 64, "ü"])
async def test_a_form_without_the_browsers_token_is_shown_again(site, csrf):
    await site.http.get("/login")
    answer = await site.http.post("/login", data={"csrf": csrf, "username": EMAIL, "password": PASSWORD})
    assert answer.status_code == 403
    assert "expired" in answer.text
    assert f'value="{EMAIL}"' in answer.text
    assert "sid" not in site.http.cookies
    retried = {**hidden(answer.text), "username": EMAIL, "password": PASSWORD}
    assert (await site.http.post("/login", data=retried)).status_code == 303


async def test_another_browsers_form_signs_nobody_in(site):
    """Else somebody could sign a person in as themselves, and read what is entered."""
    async with site.browser() as other:
        foreign = hidden((await other.get("/login")).text)
        await site.http.get("/login")
        answer = await site.http.post("/login", data={**foreign, "username": EMAIL, "password": PASSWORD})
    assert answer.status_code == 403
    async with site.browser() as bare:
        answer = await bare.post("/login", data={**foreign, "username": EMAIL, "password": PASSWORD})
    assert answer.status_code == 403


async def test_who_is_signed_in_goes_on(site):
    await site.sign_in()
    answer = await site.http.get("/login?next=/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")


async def test_the_session_changes_at_sign_in_and_the_old_one_is_dead(site):
    # attack 16
    fields = hidden((await site.http.get("/login")).text)
    await site.sign_in()
    old = site.http.cookies["sid"]
    assert "pre" not in site.http.cookies
    site.http.cookies.set("pre", "x" * 43, domain="127.0.0.1")
    page = await site.http.get("/forgot")
    again = {**hidden(page.text), "username": EMAIL, "password": PASSWORD}
    answer = await site.http.post("/login", data=again)
    assert answer.status_code == 303
    assert site.http.cookies["sid"] != old
    async with site.browser() as thief:
        thief.cookies.set("sid", old, domain="127.0.0.1")
        assert (await thief.get("/account")).status_code == 303
    assert fields["csrf"] != again["csrf"]


async def test_signing_out_needs_ones_own_form(site):
    await site.sign_in()
    token = site.http.cookies["sid"]
    refused = await site.http.post("/logout", data={"csrf": "0" * 64})
    assert refused.status_code == 403
    assert await site.identity.sessions.verify(token) is not None
    answer = await site.send("/account", "/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?done=signed_out")
    assert await site.identity.sessions.verify(token) is None
    assert "You are signed out" in (await site.http.get("/login?done=signed_out")).text
    assert (await site.http.post("/logout")).headers["location"] == "/login"


async def test_the_page_says_where_one_signs_in(site):
    page = (await site.http.get("/login")).text
    assert "127.0.0.1:8000" in page
    assert "CodeLab" in page


async def test_a_bad_form_is_a_bad_request(site):
    for body, kind, status in (
        (b"{}", "application/json", 400),
        (b"username=%00", "application/x-www-form-urlencoded", 400),
        (b"username=%ff", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 60, "application/x-www-form-urlencoded", 400),
        (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
    ):
        answer = await site.http.post("/login", content=body, headers={"content-type": kind})
        assert answer.status_code == status, body[:20]
