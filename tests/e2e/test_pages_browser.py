"""The pages in a real browser: everything works, no policy is violated, and nobody can frame them."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.async_api import Browser, expect

from tests.support.agent_server import listening
from tests.support.browser import Watched, watched_page
from tests.support.service import free_port
from tests.support.site import EMAIL, PASSWORD, Site, open_site

pytestmark = pytest.mark.e2e
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
async def site(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Site]:
    async with open_site(tmp_path, sqlite_url, port=free_port(), registration="open") as opened:
        await opened.person()
        yield opened


@pytest.fixture
async def elsewhere() -> AsyncIterator[str]:
    """Another origin: a client's callback, and pages that frame `?frame=`."""

    async def app(scope, receive, send):  # noqa: ARG001
        framed = parse_qs(scope["query_string"].decode()).get("frame", [""])[0]
        body = f'<title>elsewhere</title><iframe src="{framed}"></iframe>' if framed else "<title>elsewhere</title>"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": body.encode()})

    async def without_lifespan(scope, receive, send):
        if scope["type"] == "http":
            await app(scope, receive, send)

    async with listening(without_lifespan) as client:
        yield str(client.base_url).rstrip("/")


def authorize(site: Site, redirect_uri: str, **changes: str) -> str:
    asked = {
        "response_type": "code",
        "client_id": "web",
        "redirect_uri": redirect_uri,
        "scope": "openid threads:read offline_access",
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return f"{site.identity.issuer}/oauth/authorize?{urlencode(asked)}"


async def fill_in(watched: Watched) -> None:
    """Sign Ann in on the page that is open."""
    await watched.page.get_by_label("E-mail address").fill(EMAIL)
    await watched.page.get_by_label("Password").fill(PASSWORD)
    await watched.page.get_by_role("button", name="Sign in").click()


async def test_keys_alone_sign_somebody_in_and_out(site, browser):
    watched = await watched_page(browser)
    page = watched.page
    await page.goto(f"{site.identity.issuer}/login?next=/account")
    await page.keyboard.type(EMAIL)  # the field has the focus
    await page.keyboard.press("Tab")
    await page.keyboard.type("wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("do not fit")
    await expect(page.get_by_label("E-mail address")).to_have_value(EMAIL)
    await page.keyboard.type(PASSWORD)  # now the password has it
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("signed out")
    watched.check()


@pytest.mark.parametrize("answer", ["allow", "deny"])
async def test_a_client_is_allowed_or_denied(site, browser, elsewhere, answer):
    """Chromium lets a form's redirects lead only where the page's policy says: here to the client."""
    back = f"{elsewhere}/cb"
    await site.client("web", back, name="Web <b>& Co</b>")
    watched = await watched_page(browser)
    page = watched.page
    await page.goto(authorize(site, back))
    await fill_in(watched)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Allow Web <b>& Co</b>?")
    await expect(page.get_by_text("see your threads")).to_be_visible()
    await expect(page.get_by_text(elsewhere.removeprefix("http://"))).to_be_visible()
    await page.get_by_role("button", name="Allow" if answer == "allow" else "Deny").click()
    await page.wait_for_url(f"{back}?*")
    told = parse_qs(urlsplit(page.url).query)
    assert told["state"] == ["s1"]
    assert told["iss"] == [site.identity.issuer]
    assert ("code" in told) is (answer == "allow")
    assert told.get("error") == (None if answer == "allow" else ["access_denied"])
    watched.check()


BEYOND = "https://127.0.0.1:1/cb"
"""A client that nobody can reach: that the browser tries is enough, and it does not if the page's policy forbids."""


async def test_a_sign_in_leads_straight_back_to_a_client_that_needs_no_question(site, browser):
    await site.client("web", BEYOND, first_party=True)
    watched = await watched_page(browser)
    await watched.page.goto(authorize(site, BEYOND))
    async with watched.page.expect_request(lambda request: request.url.startswith(f"{BEYOND}?code=")):
        await fill_in(watched)
    watched.check()


async def test_who_must_sign_in_anew_is_asked_once(site, browser):
    await site.client("web", BEYOND, first_party=True)
    watched = await watched_page(browser)
    page = watched.page
    await page.goto(f"{site.identity.issuer}/login")
    await fill_in(watched)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
    await page.wait_for_timeout(1100)  # a second passes: the sign-in before is too old
    await page.goto(authorize(site, BEYOND, prompt="login"))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    async with page.expect_request(lambda request: request.url.startswith(f"{BEYOND}?code=")):
        await fill_in(watched)
    watched.check()


async def test_a_device_is_connected(site, browser):
    answer = await site.http.post(
        "/oauth/device_authorization", data={"client_id": "codelab-cli", "scope": "threads:read"}
    )
    watched = await watched_page(browser)
    page = watched.page
    await page.goto(answer.json()["verification_uri"])
    await fill_in(watched)
    await expect(page.get_by_label("Code")).to_be_focused()
    await page.keyboard.type(answer.json()["user_code"])
    await page.keyboard.press("Enter")
    await expect(page.get_by_text(answer.json()["user_code"])).to_be_visible()
    await page.get_by_role("button", name="Allow").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Connected")
    watched.check()


async def test_the_account_page_does_what_it_says(site, browser):
    watched = await watched_page(browser)
    page = watched.page
    await page.goto(f"{site.identity.issuer}/account")
    await fill_in(watched)
    await page.get_by_label("Name", exact=True).fill("Ann B.")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status")).to_contain_text("saved")
    await page.get_by_label("Name of the new key").fill("script")
    await page.get_by_role("button", name="Make a key").click()
    await expect(page.locator(".secret")).to_contain_text("sk-cl-")
    await page.get_by_role("button", name="Revoke script").click()
    await expect(page.get_by_role("status")).to_contain_text("revoked")
    await page.get_by_role("link", name="Русский").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Ваш аккаунт")
    watched.check()


@pytest.mark.parametrize("path", ["/login", "/device", "/account", "authorize"])
async def test_no_page_shows_up_in_a_frame_of_others(site, browser, elsewhere, path):
    # attack 13
    back = f"{elsewhere}/cb"
    await site.client("web", back)
    watched = await watched_page(browser)
    page = watched.page
    if path != "/login":
        await page.goto(f"{site.identity.issuer}/account")
        await fill_in(watched)
        await expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
    framed = authorize(site, back) if path == "authorize" else site.identity.issuer + path
    await page.goto(f"{elsewhere}/?{urlencode({'frame': framed})}")
    frame = page.frames[-1]
    assert frame is not page.main_frame
    assert await frame.locator("form").count() == 0
    assert any("frame" in complaint.lower() for complaint in watched.complaints)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_no_page_violates_its_policy_or_overflows_a_phone(site, browser: Browser, scheme, lang, elsewhere):
    """`SCREENSHOTS=FOLDER` keeps what is seen."""
    back = f"{elsewhere}/cb"
    await site.client("web", back, name="Workbench", dynamic=True)
    context = await browser.new_context(
        color_scheme=scheme, viewport={"width": 360, "height": 740}, locale=lang, extra_http_headers={}
    )
    watched = await watched_page(context)
    issuer, shots = site.identity.issuer, os.environ.get("SCREENSHOTS")
    open_pages = ["/login", "/register", "/verify?token=t", "/forgot", "/forgot?done=sent", "/reset?token=t"]
    signed_in = ["/account", "/device", "/device?user_code=BBBB-BBBB", "/device?done=allowed", "/nothing"]
    for number, path in enumerate([*open_pages, "sign in", *signed_in, authorize(site, back)]):
        if path == "sign in":
            await watched.page.goto(f"{issuer}/login?lang={lang}&next=/account")
            await watched.page.locator("#username").fill(EMAIL)
            await watched.page.locator("#password").fill(PASSWORD)
            await watched.page.locator("form button").click()
            continue
        await watched.page.goto(path if path.startswith("http") else issuer + path)
        width = await watched.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, path
        for wide in (False, True) if shots else ():
            await watched.page.set_viewport_size({"width": 1200 if wide else 360, "height": 740})
            name = f"{number:02}-{lang}-{scheme}-{'wide' if wide else 'phone'}.png"
            await watched.page.screenshot(path=Path(shots or "") / name, full_page=True)
        await watched.page.set_viewport_size({"width": 360, "height": 740})
    watched.check()
    await context.close()
