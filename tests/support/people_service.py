"""`codelab serve` where people have accounts, as a process; accounts and clients beside it, and what was secret."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from codelab.auth.clients.schemas import ClientOptions, NewOAuthClient
from codelab.auth.compose import Identity, open_identity
from codelab.core import permissions
from codelab.core.settings import Settings
from codelab.core.types import Principal
from codelab.store.engine import Database
from tests.support.person import PASSWORD, Person
from tests.support.service import Service

OPERATOR = Principal("operator", scopes=permissions.ALL)
"""Who sits at the machine: no person of the database, and holds everything."""
CALLBACK = "http://127.0.0.1/callback"
REGISTRATION_TOKEN = "registration-token-of-the-tests-1d0c7e"
VERIFIER = "of-the-tests-" + "v" * 40
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
_SECRET_FIELDS = frozenset(
    {
        "access_token",
        "refresh_token",
        "id_token",
        "client_secret",
        "device_code",
        "user_code",
        "registration_access_token",
        "code",
        "key",
    }
)


class PeopleService:
    """A server in oauth mode, and whoever uses it.

    Args:
        home: An empty folder.
        settings: More environment.
    """

    def __init__(self, home: Path, **settings: str) -> None:
        workspace, data = home / "workspace", home / "data"
        workspace.mkdir()
        data.mkdir()
        env = {
            "CODELAB_AUTH__MODE": "oauth",
            "CODELAB_AUTH__PASSWORD_GRANT": "true",
            "CODELAB_AUTH__REGISTRATION_TOKEN": REGISTRATION_TOKEN,
            **settings,
        }
        self.service = Service(workspace, data, extra_env=env)
        self.service.extra_env |= {"CODELAB_SERVER__PUBLIC_URL": self.service.url}
        self.data = data
        self.secrets: set[str] = {PASSWORD, REGISTRATION_TOKEN}
        self._people: list[Person] = []

    @property
    def url(self) -> str:
        """The address, which is the issuer too."""
        return self.service.url

    @property
    def log(self) -> str:
        """All that the server has said."""
        return (self.data.parent / "serve.log").read_text(errors="replace")

    def start(self) -> PeopleService:
        self.service.start()
        return self

    def close(self) -> None:
        for person in self._people:
            person.close()
        self.service.kill()

    def administrator(self) -> Person:
        """The first administrator, with the link that the server printed."""
        found = re.search(r"http://\S+/reset\?token=\S+", self.log)
        assert found is not None, self.log
        person = self._person("admin@localhost")
        person.choose_password(found.group())
        person.sign_in()
        return person

    def person(self, name: str, *roles: str) -> Person:
        """Make somebody with an account and these roles (`member` if none are named); they choose their password."""
        person = self._person(f"{name}@example.org")

        async def make(identity: Identity) -> tuple[str, str]:
            made = await identity.accounts.create(OPERATOR, person.email, roles=roles or ("member",))
            return made.person.id, made.link

        person.id, link = self.do(make)
        self.secrets.add(dict(parse_qsl(urlsplit(link).query))["token"])
        person.choose_password(link)
        return person

    def client(self, **options: Any) -> NewOAuthClient:
        """Register a client as an administrator does: a public web client unless said otherwise."""
        values = {"name": "Test client", "redirect_uris": [CALLBACK], "scopes": sorted(permissions.GRANTABLE)}
        asked = ClientOptions.model_validate({**values, **options})

        async def make(identity: Identity) -> NewOAuthClient:
            return await identity.clients.create(OPERATOR, asked)

        made: NewOAuthClient = self.do(make)
        self.secrets.update(filter(None, [made.client_secret]))
        return made

    def tokens(self, person: Person, scope: str, *, client_id: str = "codelab-cli", **asked: str) -> dict[str, Any]:
        """Have a person sign in at a public client, by code and PKCE; what the token endpoint gives."""
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "scope": scope,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **asked,
        }
        back = dict(parse_qsl(urlsplit(person.allow(f"/oauth/authorize?{urlencode(query)}")).query))
        assert "code" in back, back
        form = {"grant_type": "authorization_code", "client_id": client_id, "redirect_uri": CALLBACK}
        with self.http() as http:
            answer = http.post("/oauth/token", data={**form, "code": back["code"], "code_verifier": VERIFIER, **asked})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def roles(self, person: Person, *names: str) -> None:
        """Give somebody these roles and no others, from another process than the server."""
        self.do(lambda identity: identity.roles.set_roles(OPERATOR, person.id, names))

    def do(self, work: Any) -> Any:
        """Do something with the database of the server; not from within an event loop."""

        async def done() -> Any:
            async with self._identity() as identity:
                return await work(identity)

        return asyncio.run(done())

    def http(self, token: str | None = None, **more: Any) -> httpx.Client:
        """A client of the API, with a bearer token or without."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        http = httpx.Client(base_url=self.url, timeout=30, event_hooks={"response": [self.watch]}, **more)
        http.headers.update(headers)
        return http

    def watch(self, response: httpx.Response) -> None:
        """Remember what was secret in an answer."""
        self.secrets.update(value for value in response.cookies.values() if len(value) >= 16)
        asked = dict(parse_qsl(urlsplit(response.headers.get("location", "")).query))
        self.secrets.update(asked[name] for name in asked.keys() & {"code", "token"})
        if response.headers.get("content-type", "").startswith("application/json"):
            response.read()
            self.keep(response.json())

    def keep(self, answer: Any) -> None:
        """Remember what is secret in JSON."""
        for name, value in answer.items() if isinstance(answer, dict) else ():
            if name in _SECRET_FIELDS and isinstance(value, str) and len(value) >= 8:
                self.secrets.add(value)
            self.keep(value)
        for value in answer if isinstance(answer, list) else ():
            self.keep(value)

    def _person(self, email: str) -> Person:
        person = Person(self.url, email, watch=self.watch)
        self._people.append(person)
        return person

    @asynccontextmanager
    async def _identity(self) -> AsyncIterator[Identity]:
        settings = Settings(
            _env_file=None,
            data_dir=self.data,
            auth={"mode": "oauth", "mail": {"folder": str(self.data / "mails")}},
            server={"port": self.service.port, "public_url": self.url},
        )
        database = Database(settings.database_url)
        try:
            async with open_identity(settings, database) as identity:
                yield identity
        finally:
            await database.close()


@contextmanager
def people_service(home: Path, **settings: str) -> Iterator[PeopleService]:
    """Serve while the block lasts."""
    service = PeopleService(home, **settings)
    try:
        yield service.start()
    finally:
        service.close()
