"""The authorization endpoint: where it leads, whom it asks, and what it never does by itself."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from codelab.auth.sessions.csrf import csrf_of
from codelab.core.errors import Unavailable
from codelab.store.models import AuditRow, AuthorizationCodeRow, ConsentRow, OAuthClientRow, UserRow
from tests.support.identity import CHALLENGE, ISSUER, REDIRECT, answer_of, asked, cookie_header

LOOPBACK = "http://127.0.0.1/callback"


def next_of(response) -> str:
    """The local address that signing in leads on to."""
    assert response.status_code == 303
    path, _, query = response.headers["location"].partition("?")
    assert path == "/login"
    return parse_qs(query)["next"][0]


def is_refused(response) -> bool:
    """A page, and nothing that leads anywhere."""
    page = response.headers["content-type"].startswith("text/html")
    return response.status_code == 400 and page and "location" not in response.headers


# Where it leads


@pytest.mark.parametrize(
    "wrong",
    [
        "https://evil.example/cb",
        "https://client.example/cb/more",
        "https://client.example/cb?more=1",
        "https://client.example/cb#fragment",
        "https://client.example/cb#",
        "https://client.example@evil.example/cb",
        "https://evil@client.example/cb",
        "https://CLIENT.example/cb",
        "https://client.example/CB",
        "https://www.client.example/cb",
        "https://client.example./cb",
        "https://client.example/%63b",
        "https://client.example/x/../cb",
        "https://client.example:8443/cb",
        "https://client.example:443/cb",
        "http://client.example/cb",
        "https://client.example\\cb",
        "https://client.example/cb ",
        "https://client.example/cb\r\nlocation: https://evil.example",
        "//client.example/cb",
        "javascript:alert(1)//",
        "data:text/html,hi",
        "https://кlient.example/cb",
        'https://client.example/cb"><script>',
        "",
        None,
    ],
)
async def test_another_redirect_address_is_an_error_page(world, wrong):  # attacks 1, 4
    await world.client()
    cookie = await world.sign_in(await world.user())
    assert is_refused(await world.authorize(cookie, redirect_uri=wrong))
    assert is_refused(await world.decide(cookie, redirect_uri=wrong))


@pytest.mark.parametrize(
    ("uri", "good"),
    [
        (LOOPBACK, True),
        ("http://127.0.0.1:1/callback", True),
        ("http://127.0.0.1:65535/callback", True),
        ("http://[::1]:4000/six", True),
        ("http://127.0.0.1:65536/callback", False),
        ("http://127.0.0.1:/callback", False),
        ("http://127.0.0.1:8a/callback", False),
        ("http://127.0.0.1:80@evil.example/callback", False),
        ("http://127.0.0.1.evil.example/callback", False),
        ("http://127.0.0.1:80/other", False),
        ("http://127.0.0.1:80/callback?x=1", False),
        ("http://127.0.0.2:80/callback", False),
        ("http://0177.0.0.1/callback", False),
        ("http://localhost:80/callback", False),
        ("https://127.0.0.1:80/callback", False),
        ("http://[::1]:4000/callback", False),
    ],
)
async def test_any_port_on_this_machine_and_nothing_else(world, uri, good):  # attack 2
    await world.client(redirect_uris=[LOOPBACK, "http://[::1]:80/six"], first_party=True)
    cookie = await world.sign_in(await world.user())
    response = await world.decide(cookie, redirect_uri=uri)
    if good:
        assert response.headers["location"].startswith(f"{uri}?code=")
    else:
        assert is_refused(response)


async def test_the_name_of_this_machine_has_the_port_it_was_registered_with(world):  # attack 1
    await world.client(redirect_uris=["http://localhost:3000/cb"])
    cookie = await world.sign_in(await world.user())
    good = await world.decide(cookie, redirect_uri="http://localhost:3000/cb")
    assert good.headers["location"].startswith("http://localhost:3000/cb?code=")
    for other in ("http://localhost:3001/cb", "http://localhost/cb", "http://127.0.0.1:3000/cb"):
        assert is_refused(await world.decide(cookie, redirect_uri=other))


async def test_https_has_no_flexible_port(world):  # attack 2
    await world.client(redirect_uris=["https://127.0.0.1/callback"], first_party=True)
    cookie = await world.sign_in(await world.user())
    assert is_refused(await world.authorize(cookie, redirect_uri="https://127.0.0.1:8443/callback"))


async def test_a_registered_address_that_never_should_have_been_is_not_led_to(world):
    await world.client(redirect_uris=["http://evil.example/cb"], first_party=True)
    cookie = await world.sign_in(await world.user())
    assert is_refused(await world.authorize(cookie, redirect_uri="http://evil.example/cb"))


async def test_an_address_with_a_query_keeps_it(world):
    await world.client(redirect_uris=[f"{REDIRECT}?a=1"], first_party=True)
    response = await world.authorize(await world.sign_in(await world.user()), redirect_uri=f"{REDIRECT}?a=1")
    assert response.headers["location"].startswith(f"{REDIRECT}?a=1&code=")


@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "scope", "code_challenge", "nonce", "made_up"])
async def test_what_is_said_twice_is_refused(world, name):  # attack 3
    await world.client(first_party=True)
    query = f"{urlencode({'nonce': 'n', 'made_up': '1', **asked()})}&{name}=again"
    cookie = cookie_header(await world.sign_in(await world.user()))
    assert is_refused(await world.http.get(f"/oauth/authorize?{query}", headers=cookie))


@pytest.mark.parametrize("name", ["nobody", "", "web\0", "ж", "w" * 500])
async def test_an_unknown_client_is_an_error_page(world, name):  # attack 4
    await world.client()
    assert is_refused(await world.authorize(client_id=name))


async def test_a_disabled_client_is_unknown(world):  # attack 4
    await world.client(disabled_at=world.time())
    assert is_refused(await world.authorize())


@pytest.mark.parametrize("encoded", ["client_id=%ff", "&".join(f"a{i}=1" for i in range(200))], ids=["bytes", "many"])
async def test_a_query_that_cannot_be_read_is_an_error_page(world, encoded):
    assert is_refused(await world.http.get(f"/oauth/authorize?{encoded}"))


# What is asked for


@pytest.mark.parametrize("kind", ["token", "id_token", "code token", "none", 'a"b', "ж"])
async def test_other_responses_are_not_served(world, kind):  # attack 5
    await world.client()
    told = answer_of(await world.authorize(response_type=kind))
    assert (told["error"], told["state"], told["iss"]) == ("unsupported_response_type", "s1", ISSUER)


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": CHALLENGE[:-1]},
        {"code_challenge": CHALLENGE + "a"},
        {"code_challenge": "*" * 43},
        {"response_type": None},
        {"response_mode": "fragment"},
        {"prompt": "none login"},
        {"max_age": "-1"},
        {"max_age": "9" * 30},
        {"nonce": "n" * 1001},
    ],
    ids=str,
)
async def test_a_bad_request_goes_back_with_its_state(world, changes):  # attack 6
    await world.client()
    told = answer_of(await world.authorize(await world.sign_in(await world.user()), **changes))
    assert (told["error"], told["state"], told["iss"]) == ("invalid_request", "s1", ISSUER)
    assert "code" not in told


@pytest.mark.parametrize("scope", ["threads:read users:admin", "threads:read nothing:real", "users:admin", "email"])
async def test_a_scope_beyond_the_clients_is_refused_whole(world, scope):  # attack 11
    await world.client()
    assert answer_of(await world.authorize(scope=scope))["error"] == "invalid_scope"


async def test_a_scope_that_the_service_does_not_know_is_refused_although_it_was_registered(world):
    await world.client(scopes=["threads:read", "old:scope"])
    assert answer_of(await world.authorize(scope="old:scope"))["error"] == "invalid_scope"


async def test_without_a_scope_it_is_all_that_the_client_may_ask_for(world):
    await world.client(first_party=True, scopes=["threads:read", "openid"])
    answer_of(await world.authorize(await world.sign_in(await world.user()), scope=None))
    (row,) = await world.rows(AuthorizationCodeRow)
    assert row.scope == "threads:read openid"


async def test_nobody_gives_away_what_they_do_not_hold(world):
    await world.client(first_party=True)
    user = await world.user()
    world.permissions.of[user.id] = frozenset({"threads:read"})
    answer_of(await world.authorize(await world.sign_in(user), scope="threads:read runs:read openid"))
    (row,) = await world.rows(AuthorizationCodeRow)
    assert row.scope == "threads:read openid"


async def test_who_holds_nothing_of_it_gives_nothing(world):
    await world.client(first_party=True)
    user = await world.user()
    world.permissions.of[user.id] = frozenset()
    assert answer_of(await world.authorize(await world.sign_in(user)))["error"] == "access_denied"


@pytest.mark.parametrize("resource", ["https://other.example", f"{ISSUER}/mcp/x", "x", f"{ISSUER}#a"])
async def test_a_foreign_resource_is_refused(world, resource):
    await world.client()
    assert answer_of(await world.authorize(resource=resource))["error"] == "invalid_target"


# Signing in


async def test_who_is_not_signed_in_is_asked_to_and_comes_back_to_the_same_request(world):
    await world.client()
    response = await world.authorize(nonce="n", state="a&b=c")
    assert next_of(response) == f"/oauth/authorize?{urlencode(asked(state='a&b=c', nonce='n'))}"


@pytest.mark.parametrize("cookie", ["nonsense", "x" * 43])
async def test_a_made_up_cookie_is_nobody(world, cookie):
    await world.client(first_party=True)
    next_of(await world.authorize(cookie))


async def test_a_disabled_person_is_nobody(world):
    await world.client(first_party=True)
    user = await world.user()
    cookie = await world.sign_in(user)
    answer_of(await world.authorize(cookie))  # for two seconds the session is remembered
    await world.change(UserRow, user.id, is_active=False)
    next_of(await world.authorize(cookie))
    next_of(await world.decide(cookie))


async def test_prompt_none_never_asks(world):  # attack 12
    await world.client()
    told = answer_of(await world.authorize(prompt="none"))
    assert (told["error"], told["state"], told["iss"]) == ("login_required", "s1", ISSUER)
    told = answer_of(await world.authorize(await world.sign_in(await world.user()), prompt="none"))
    assert (told["error"], told["iss"]) == ("consent_required", ISSUER)


async def test_prompt_login_asks_once(world):
    await world.client(first_party=True)
    user = await world.user()
    cookie = await world.sign_in(user)
    world.time.tick(10)
    back = next_of(await world.authorize(cookie, prompt="login consent"))
    assert "login" not in parse_qs(urlsplit(back).query)["prompt"][0]
    next_of(await world.http.get(back, headers=cookie_header(cookie)))  # the old session is not enough
    assert (await world.http.get(back, headers=cookie_header(await world.sign_in(user)))).status_code == 200


@pytest.mark.parametrize("age", ["0", "60"])
async def test_max_age_asks_who_signed_in_before(world, age):
    await world.client(first_party=True)
    user = await world.user()
    cookie = await world.sign_in(user)
    world.time.tick(61)
    back = next_of(await world.authorize(cookie, max_age=age))
    fresh = await world.sign_in(user)
    world.time.tick(2)
    assert "code" in answer_of(await world.http.get(back, headers=cookie_header(fresh)))
    next_of(await world.http.get(back, headers=cookie_header(cookie)))


async def test_max_age_that_is_kept_asks_nothing(world):
    await world.client(first_party=True)
    cookie = await world.sign_in(await world.user())
    world.time.tick(59)
    assert "code" in answer_of(await world.authorize(cookie, max_age="60"))
    assert answer_of(await world.authorize(cookie, max_age="5", prompt="none"))["error"] == "login_required"


# Consent


async def test_the_page_says_who_asks_for_what(world):  # attacks 13, 14
    await world.client(name='<img src=x onerror="x">')
    cookie = await world.sign_in(await world.user())
    response = await world.authorize(cookie, state='"><script>')
    assert response.status_code == 200
    text = response.text
    assert "<img" not in text
    assert "<script>" not in text
    assert "&lt;img" in text
    assert "client.example" in text
    assert csrf_of(cookie) in text
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    policy = response.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://client.example;" in policy


async def test_yes_leads_back_with_a_code_and_is_remembered(world):  # attack 14
    await world.client()
    user = await world.user()
    cookie = await world.sign_in(user)
    response = await world.decide(cookie)
    told = answer_of(response)  # 303: the browser does not send the form on
    assert set(told) == {"code", "state", "iss"}
    assert (told["state"], told["iss"]) == ("s1", ISSUER)
    assert told["code"].startswith("cl_ac_")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "code" in answer_of(await world.authorize(cookie))
    assert "code" in answer_of(await world.authorize(cookie, scope="runs:read", prompt="none"))
    assert "auth.consent_granted" in {row.type for row in await world.rows(AuditRow)}


async def test_no_code_is_kept_in_the_clear(world):
    await world.client()
    code = await world.code(await world.user())
    (row,) = await world.rows(AuthorizationCodeRow)
    assert code not in repr(vars(row))
    assert not any(code in repr(vars(audit)) for audit in await world.rows(AuditRow))


async def test_no_leads_back_without_a_code(world):
    await world.client()
    cookie = await world.sign_in(await world.user())
    told = answer_of(await world.decide(cookie, "deny"))
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", "s1", ISSUER)
    assert not await world.rows(ConsentRow)
    assert (await world.authorize(cookie)).status_code == 200


async def test_more_than_before_is_asked_about(world):  # attack 14
    await world.client()
    cookie = await world.sign_in(await world.user())
    await world.decide(cookie, scope="threads:read")
    response = await world.authorize(cookie, scope="threads:read runs:read")
    assert response.status_code == 200
    assert response.text.count("chip") == 1
    await world.decide(cookie, scope="runs:read")
    assert "code" in answer_of(await world.authorize(cookie, scope="threads:read runs:read"))


async def test_one_persons_yes_is_not_anothers(world):
    await world.client()
    await world.decide(await world.sign_in(await world.user()))
    other = await world.sign_in(await world.user("bob@example.org"))
    assert (await world.authorize(other)).status_code == 200


async def test_prompt_consent_asks_again(world):
    await world.client(first_party=True)
    cookie = await world.sign_in(await world.user())
    assert "code" in answer_of(await world.authorize(cookie))
    assert (await world.authorize(cookie, prompt="consent")).status_code == 200


async def test_get_grants_nothing(world):  # attack 12
    await world.client()
    cookie = await world.sign_in(await world.user())
    assert (await world.authorize(cookie, action="allow", csrf=csrf_of(cookie))).status_code == 200
    assert not await world.rows(AuthorizationCodeRow)


@pytest.mark.parametrize("forged", ["", "nonsense", "ж", "other"])
async def test_a_form_that_is_not_ours_grants_nothing(world, forged):  # attack 12
    await world.client(first_party=True)
    user = await world.user()
    cookie, other = await world.sign_in(user), await world.sign_in(user)
    response = await world.decide(cookie, csrf=csrf_of(other) if forged == "other" else forged)
    assert response.status_code == 403
    assert "location" not in response.headers
    assert not await world.rows(AuthorizationCodeRow)


async def test_a_form_without_a_session_leads_to_signing_in(world):
    await world.client(first_party=True)
    form = {**asked(), "action": "allow", "csrf": csrf_of("")}
    back = next_of(await world.http.post("/oauth/authorize", data=form))
    assert back == f"/oauth/authorize?{urlencode(asked())}"


@pytest.mark.parametrize("action", ["", "maybe", "ALLOW"])
async def test_only_a_clear_answer_counts(world, action):
    await world.client(first_party=True)
    assert is_refused(await world.decide(await world.sign_in(await world.user()), action))


async def test_what_signing_in_leads_on_to_is_ours_whatever_the_request_says(world):  # attack 15
    await world.client()
    for evil in ("//evil.example", "/\\evil.example", "https://evil.example"):
        back = next_of(await world.authorize(next=evil, state=evil))
        assert back.startswith("/oauth/authorize?")
        assert quote(evil, safe="") in back  # as a value, nowhere else


async def test_a_client_that_loses_the_grant_gets_no_codes(world):
    await world.client(first_party=True)
    cookie = await world.sign_in(await world.user())
    await world.change(OAuthClientRow, "web", grant_types=["refresh_token"])
    assert answer_of(await world.authorize(cookie))["error"] == "unauthorized_client"


async def test_a_database_that_is_gone_is_told_on_a_page(world):
    class Gone:
        async def verify(self, _token):
            raise Unavailable("Sessions cannot be checked just now; try again.")

    await world.client()
    cookie = await world.sign_in(await world.user())
    world.identity.sessions = Gone()
    for response in (await world.authorize(cookie), await world.decide(cookie)):
        assert response.status_code == 503
        assert response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("name", ["request", "request_uri"])
async def test_request_objects_are_not_served(world, name):
    await world.client()
    assert answer_of(await world.authorize(**{name: "x"}))["error"] == "request_not_supported"


@pytest.mark.parametrize("address", [LOOPBACK, "com.example.app:/cb"])
async def test_what_any_program_of_the_machine_could_ask_is_asked_of_the_person(world, address):
    """Neither who made a client nor a yes from before tells who asks now."""
    await world.client(redirect_uris=[address], first_party=True)
    cookie = await world.sign_in(await world.user())
    for _ in range(2):
        page = await world.authorize(cookie, redirect_uri=address)
        assert page.status_code == 200, page.headers
        assert "code=" not in page.headers.get("location", "")
        assert (
            answer_of(await world.authorize(cookie, redirect_uri=address, prompt="none"))["error"] == "consent_required"
        )
        assert "code" in answer_of(await world.decide(cookie, redirect_uri=address))
