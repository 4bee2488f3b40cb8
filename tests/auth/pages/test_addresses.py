"""Where a sign-in leads on to: an address of ours, whatever somebody put into the link."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.server.account.browsers import name_of
from codelab.server.account.forms import asked_client, local_address
from codelab.server.account.render import source_of


# attack 15
@pytest.mark.parametrize(
    "asked",
    [
        "",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%5cevil.example",
        "/%5Cevil.example",
        "/%2fevil.example",
        "/%2Fevil.example",
        "/%252fevil.example",
        "/%255cevil.example",
        "/a//evil.example",
        "/.//evil.example",
        "https://evil.example/",
        "https:evil.example",
        "http:/evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        "@evil.example",
        " /threads",
        "\t//evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/%09/evil.example",
        "/%0d%0aset-cookie:a=b",
        "/a\r\nset-cookie: a=b",
        "/ünsinn",
        "/" + "a" * 5000,
        "/login",
        "/login?next=/login",
        "/logout",
        "/%6cogin",
    ],
)
def test_what_could_lead_away_leads_home(asked):
    assert local_address(asked, "/home") == "/home"


@pytest.mark.parametrize(
    "asked",
    [
        "/",
        "/account",
        "/t/0190-ab",
        "/device?user_code=ABCD-EFGH",
        "/oauth/authorize?redirect_uri=http%3A%2F%2Fa&x=%5C",
    ],
)
def test_an_address_of_ours_stays_as_it_is(asked):
    assert local_address(asked) == asked


@given(st.text(alphabet="/\\%25cf.:@?#ab\t\n ", max_size=12))
def test_no_address_is_anothers(asked):
    found = local_address(asked)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://app.example/cb?x=1", "https://app.example"),
        ("http://127.0.0.1:49152/callback", "http://127.0.0.1:49152"),
        ("http://[::1]:8080/callback", "http://[::1]:8080"),
        ("com.example.app:/callback", "com.example.app:"),
        ("https://app.example;script-src *", ""),
        ("https://app.example 'unsafe-inline'/cb", ""),
        ("https://*/cb", ""),
        ("https://user@app.example/cb", ""),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//app.example", ""),
        ("https://[::1", ""),
        ("", ""),
    ],
)
def test_a_policy_names_a_plain_origin_or_none(uri, source):
    assert source_of(uri) == source


def test_a_sign_in_knows_which_client_it_is_for():
    asked = "/oauth/authorize?client_id=a&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcb"
    assert asked_client(asked) == ("a", "http://127.0.0.1:1/cb")
    assert asked_client("/account?client_id=a&redirect_uri=http://x/") == ("", "")
    assert asked_client("/oauth/authorize") == ("", "")


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", ("Firefox", "Linux")),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 Edg/142.0", ("Edge", "Windows")),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", ("Safari", "iPhone")),
        ("<script>alert(1)</script>", ("", "")),
    ],
)
def test_people_know_their_browsers_by_name(user_agent, name):
    assert name_of(user_agent) == name
