"""Every way in says what it needs."""

from collections.abc import Iterator

import pytest

from tests.support.tree import ROOT

# No credential: health, the sign-in itself, and files that hold no user data.
PUBLIC = {"/ok", "/info", "/health", "/health/live", "/health/ready", "/login", "/static"}

SIGNED_IN = {"/docs", "/docs/oauth2-redirect", "/openapi.json"}  # any credential will do


def routes() -> list:
    from codelab.core.settings import Settings  # noqa: PLC0415 - collected without the web stack
    from codelab.server.app import create_app  # noqa: PLC0415

    return list(_flat(create_app(Settings(_env_file=None)).routes))


def _flat(found, prefix: str = "") -> Iterator[tuple[str, object]]:
    for route in found:
        path = prefix + getattr(route, "path", "")
        inner = getattr(route, "routes", None)
        if inner:
            yield from _flat(inner, path)
        else:
            yield path, route


def declared(route) -> set[str]:
    """The permissions among a route's dependencies, whoever they are nested in."""
    pending, found = [route.dependant] if hasattr(route, "dependant") else [], set()
    while pending:
        dependant = pending.pop()
        pending += dependant.dependencies
        found |= {getattr(dependant.call, "permission", None)}
    return found - {None}


@pytest.mark.skipif(not (ROOT / "server" / "app.py").exists(), reason="there is no server yet")
def test_every_route_declares_a_permission():
    from codelab.core.permissions import ALL  # noqa: PLC0415

    found = routes()
    assert len([path for path, _ in found if path.startswith("/api/v1/")]) >= 10
    silent = [path for path, route in found if path not in PUBLIC | SIGNED_IN and not declared(route)]
    assert not silent
    assert set().union(*(declared(route) for _, route in found)) <= ALL
