"""A person without a browser: follows links, reads forms, keeps cookies, and decides what is asked of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

PASSWORD = "nine green bottles on a wall"
_MOST_PAGES = 12


@dataclass
class Form:
    """A form of a page.

    Attributes:
        action: Where it is sent, as the page says.
        fields: What it holds already.
        buttons: Names and values of what submits it.
    """

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def decides(self) -> bool:
        """Whether it asks to allow something, or to deny it."""
        return ("action", "allow") in self.buttons


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(values.get("action", "")))
            self._open = True
        elif self._open and tag in {"input", "select"} and "name" in values:
            self.found[-1].fields[values["name"]] = values.get("value", "")
        elif self._open and tag == "button" and "name" in values:
            self.found[-1].buttons.append((values["name"], values.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "form"


def forms_of(page: httpx.Response) -> list[Form]:
    """The forms of a page, as they stand there."""
    reader = _Forms()
    reader.feed(page.text)
    return reader.found


class Person:
    """Somebody with an account. Their pages come from the server alone; no request of theirs leaves it.

    Args:
        url: Of the server.
        email: What they sign in with.
        password: Likewise.
        watch: Told of each answer; for tests that collect what was secret in them.
    """

    def __init__(
        self,
        url: str,
        email: str,
        password: str = PASSWORD,
        *,
        watch: Callable[[httpx.Response], None] | None = None,
    ) -> None:
        self.url, self.email, self.password = url, email, password
        self.id = ""
        self.http = httpx.Client(
            base_url=url,
            headers={"accept": "text/html", "origin": url, "accept-language": "en"},
            timeout=30,
            event_hooks={"response": [watch] if watch else []},
        )

    @property
    def cookie(self) -> str:
        """The session cookie's value; empty if there is none."""
        return self.http.cookies.get("sid") or ""

    def close(self) -> None:
        self.http.close()

    def choose_password(self, link: str) -> None:
        """Open the link that was sent or printed, and choose the password."""
        done = self._submit(self.http.get(link), self._only(self.http.get(link)), {"password": self.password})
        assert done.status_code == 303, done.text

    def sign_in(self) -> httpx.Response:
        """Sign in on the page; the answer to the form."""
        self.http.cookies.delete("sid") if self.cookie else None
        page = self.http.get("/login")
        answer = self._submit(page, self._only(page), {"username": self.email, "password": self.password})
        assert answer.status_code == 303, answer.text
        assert self.cookie
        return answer

    def sign_out(self) -> None:
        """Sign out with the button of the account page."""
        page = self.http.get("/account")
        (form,) = [form for form in forms_of(page) if form.action == "/logout"]
        assert self._submit(page, form, {}).status_code == 303

    def forget_password(self) -> None:
        """Ask for the link that is mailed."""
        page = self.http.get("/forgot")
        assert self._submit(page, self._only(page), {"username": self.email}).status_code == 303

    def allow(self, address: str) -> str:
        """Open what a client leads to and allow what it asks; where the person is led back to."""
        return self.decide(address, "allow")

    def deny(self, address: str) -> str:
        """As `allow`, but deny it."""
        return self.decide(address, "deny")

    def decide(self, address: str, action: str) -> str:
        """Follow an authorization request to its end, signing in where that is asked."""
        answer = self.http.get(address)
        for _ in range(_MOST_PAGES):
            if answer.is_redirect:
                onward = urljoin(str(answer.request.url), answer.headers["location"])
                if urlsplit(onward).netloc != urlsplit(self.url).netloc:
                    return onward
                answer = self.http.get(onward)
                continue
            assert answer.status_code == 200, (answer.status_code, answer.text)
            answer = self._answered(answer, action)
        raise AssertionError("these pages do not end")

    def approve_device(self, address: str, code: str = "", *, action: str = "allow") -> None:
        """Open the page that a device shows, type its code if that is asked, and allow what the device asks."""
        answer = self.http.get(address)
        for _ in range(_MOST_PAGES):
            if answer.is_redirect:
                answer = self.http.get(urljoin(str(answer.request.url), answer.headers["location"]))
                continue
            assert answer.status_code == 200, (answer.status_code, answer.text)
            decided = any(form.decides() for form in forms_of(answer))
            if not any("user_code" in form.fields or "password" in form.fields for form in forms_of(answer)):
                raise AssertionError(f"nothing is asked: {answer.text}")
            answer = self._answered(answer, action, code)
            if decided:
                break
        while answer.is_redirect:
            answer = self.http.get(urljoin(str(answer.request.url), answer.headers["location"]))
        assert answer.status_code == 200, (answer.status_code, answer.text)

    def api(self, method: str, path: str, **more: object) -> httpx.Response:
        """Call the API as a page of ours would: with the cookie."""
        return self.http.request(method, path, headers={"accept": "application/json"}, **more)

    def _answered(self, page: httpx.Response, action: str, code: str = "") -> httpx.Response:
        """Fill in whatever form of sign-in, code or decision a page has."""
        for form in forms_of(page):
            if "password" in form.fields:
                return self._submit(page, form, {"username": self.email, "password": self.password})
            if form.decides():
                return self._submit(page, form, {"action": action})
            if "user_code" in form.fields:
                return self._submit(page, form, {"user_code": code} if code else {})
        raise AssertionError(f"nothing is asked: {page.text}")

    def _only(self, page: httpx.Response) -> Form:
        (form,) = forms_of(page)
        return form

    def _submit(self, page: httpx.Response, form: Form, values: dict[str, str]) -> httpx.Response:
        target = urljoin(str(page.request.url), form.action)
        assert target.startswith(f"{self.url}/"), f"the form goes to {target}"
        return self.http.post(target, data=form.fields | values)
