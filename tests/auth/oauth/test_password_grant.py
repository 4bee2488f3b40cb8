"""The password grant: off, then for first-party clients alone, and an answer that tells nothing."""

from __future__ import annotations

import pytest

from codelab.auth.seams import Origin
from codelab.core.errors import Unavailable
from codelab.store.models import RefreshTokenRow, TokenFamilyRow, UserRow
from tests.support.identity import PASSWORD, claims_of, serving

FORM = {"grant_type": "password", "client_id": "web", "username": "ann@example.org", "password": PASSWORD}


class Door:
    """A `SignIn` that knows one person, and counts who asks."""

    def __init__(self, user: UserRow | None = None) -> None:
        self.user = user
        self.asked: list[tuple[str, str, Origin]] = []

    async def check(self, email: str, password: str, origin: Origin) -> UserRow | None:
        self.asked.append((email, password, origin))
        if self.user is None:
            raise Unavailable("Try again.")
        return self.user if (email, password) == (self.user.email, PASSWORD) else None


@pytest.fixture
async def world(sqlite_url):
    async with serving(sqlite_url, password_grant=True) as world:
        await world.client(first_party=True, grant_types=["password", "refresh_token"])
        world.identity.sign_in = Door(await world.user())
        yield world


def error_of(response, status: int = 400) -> str:
    assert response.status_code == status, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()["error"]


async def test_a_first_party_client_gets_tokens(world):
    response = await world.token(**FORM)
    assert response.status_code == 200, response.text
    tokens = response.json()
    claims = claims_of(tokens["access_token"])
    assert (claims["sub"], claims["amr"], claims["client_id"]) == (world.identity.sign_in.user.id, ["pwd"], "web")
    assert "sid" not in claims
    assert world.identity.sign_in.asked[0][2].address == "127.0.0.1"
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


async def test_it_is_off_unless_it_was_switched_on(sqlite_url):  # attack 23
    async with serving(sqlite_url) as world:
        await world.client(first_party=True, grant_types=["password"])
        door = world.identity.sign_in = Door(await world.user())
        assert error_of(await world.token(**FORM)) == "unauthorized_client"
        assert not door.asked


@pytest.mark.parametrize(
    "values",
    [{"first_party": False, "grant_types": ["password"]}, {"first_party": True, "grant_types": ["refresh_token"]}],
    ids=["third party", "not listed"],
)
async def test_other_clients_see_no_passwords(world, values):  # attack 23
    await world.client("other", **values)
    assert error_of(await world.token(**{**FORM, "client_id": "other"})) == "unauthorized_client"
    assert not world.identity.sign_in.asked


@pytest.mark.parametrize(
    ("changes", "error", "status"),
    [
        ({"client_id": "nobody"}, "invalid_client", 401),
        ({"username": None}, "invalid_request", 400),
        ({"password": None}, "invalid_request", 400),
        ({"scope": "users:admin"}, "invalid_scope", 400),
        ({"resource": "https://other.example"}, "invalid_target", 400),
    ],
    ids=["client", "username", "password", "scope", "resource"],
)
async def test_nothing_is_hashed_for_a_request_that_is_no_good(world, changes, error, status):
    assert error_of(await world.token(**{**FORM, **changes}), status) == error
    assert not world.identity.sign_in.asked


async def test_whatever_is_wrong_with_the_person_the_answer_is_the_same(world):  # attack 23
    door = world.identity.sign_in
    answers = [
        await world.token(**{**FORM, "password": "wrong"}),
        await world.token(**{**FORM, "username": "nobody@example.org"}),
    ]
    await world.change(UserRow, door.user.id, is_active=False)  # between the check and the transaction
    answers.append(await world.token(**FORM))
    await world.change(UserRow, door.user.id, is_active=True, password_changed_at=world.time())
    answers.append(await world.token(**FORM))
    assert len({(answer.status_code, answer.content, str(answer.headers)) for answer in answers}) == 1
    assert error_of(answers[0]) == "invalid_grant"
    assert len(door.asked) == len(answers)
    assert not await world.rows(TokenFamilyRow)
    assert not await world.rows(RefreshTokenRow)


async def test_nobody_gets_more_than_they_hold(world):
    user = world.identity.sign_in.user
    world.permissions.of[user.id] = frozenset({"threads:read"})
    tokens = (await world.token(**FORM, scope="threads:read runs:read")).json()
    assert tokens["scope"] == "threads:read"
    assert error_of(await world.token(**FORM, scope="runs:read")) == "invalid_scope"


async def test_a_door_that_is_shut_says_so(world):  # attack 27
    world.identity.sign_in = Door()
    assert error_of(await world.token(**FORM), 503) == "temporarily_unavailable"
