"""What holds for every page: policy, language, plain forms, errors without a word of what is inside."""

import re
from html.parser import HTMLParser

import pytest

from tests.support.site import EMAIL

OPEN = (
    "/login",
    "/register",
    "/register?done=sent",
    "/verify?token=t",
    "/forgot",
    "/forgot?done=sent",
    "/reset?token=t",
)
SIGNED_IN = ("/account", "/device")


class Reading(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in tags]


async def pages(site):
    for path in OPEN:
        yield path, await site.http.get(path)
    await site.sign_in()
    for path in SIGNED_IN:
        yield path, await site.http.get(path)


# attack 13
async def test_no_page_can_be_framed_kept_or_leaked(site):
    async for path, answer in pages(site):
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "form-action 'self';" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_pages_work_without_scripts_and_for_everybody(site):
    async for path, answer in pages(site):
        found = Reading(answer.text)
        labels = {attrs.get("for") for attrs in found.all("label")}
        assert not found.all("script", "style"), path
        assert not [a for _, a in found.tags if any(name == "style" or name.startswith("on") for name in a)], path
        for field in found.all("input", "select", "textarea"):
            if field.get("type") != "hidden" and field.get("aria-hidden") != "true":
                assert field.get("id") in labels, (path, field)
                assert field.get("autocomplete") or "expires" in (field["name"] or ""), (path, field)
        ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
        assert len(ids) == len(set(ids)), path
        assert found.all("html")[0]["lang"] == "en"
        assert len(found.all("h1")) == 1, path
        assert all(form["method"] == "post" for form in found.all("form")), path
        assert all((form["action"] or "").startswith("/") for form in found.all("form")), path


async def test_a_page_speaks_the_readers_language_and_remembers_a_choice(site):
    russian = await site.http.get("/login", headers={"accept-language": "ru,en;q=0.5"})
    assert "Вход" in russian.text
    assert 'lang="ru"' in russian.text
    assert russian.headers["content-language"] == "ru"
    assert "Sign in" in (await site.http.get("/login")).text
    chosen = await site.http.get("/login?next=/account&lang=ru")
    assert "Вход" in chosen.text
    assert 'href="?next=%2Faccount&amp;lang=en"' in chosen.text
    assert "Вход" in (await site.http.get("/login")).text
    assert "Sign in" in (await site.http.get("/login?lang=en")).text
    assert "Sign in" in (await site.http.get("/login?lang=../xx")).text
    for _ in range(2):
        wrong = await site.send("/login?lang=ru", username=EMAIL, password="wrong")
        assert "не подходят" in wrong.text


async def test_every_page_has_its_russian_texts(site):
    site.http.headers["accept-language"] = "ru"
    async for path, answer in pages(site):
        words = re.sub(r"<[^>]*>", " ", answer.text)
        assert re.search("[а-я]{4}", words), path
        latin = set(re.findall(r"[A-Za-z]{4,}", words)) - {"CodeLab", "English", "name", "example", "Python", "Linux"}
        assert not latin, (path, latin)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing/here", 404),
        ("PUT", "/login", 405),
        ("POST", "/account/keys", 403),
        ("GET", "/static/none", 404),
    ],
)
async def test_a_browser_is_shown_errors_as_pages(site, method, path, status):
    await site.sign_in()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await site.http.request(method, path, content=b"csrf=x", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "<h1>" in answer.text
    plain = await site.http.request(method, "/api/v1/clients/none", headers={"accept": "application/json"})
    assert plain.headers["content-type"].startswith("application/problem+json")


async def test_what_breaks_inside_is_told_as_a_number(site):
    def broken(_request):
        raise RuntimeError("secret inside")

    site.app.add_route("/broken", broken)
    await site.sign_in()
    answer = await site.http.get("/broken")
    assert answer.status_code == 500
    assert "secret inside" not in answer.text
    assert "Traceback" not in answer.text
    assert "went wrong on our side" in answer.text
    assert re.search(r"Number: [0-9a-f-]{36}", answer.text)
