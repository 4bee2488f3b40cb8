"""Every way in says what it needs."""

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts

# No credential: health, the sign-in itself, and files that hold no user data.
PUBLIC = {"/ok", "/info", "/health", "/health/live", "/health/ready", "/login", "/static", "/api/{path:path}", ""}

# With people: each of these checks what it is shown itself (a client, a token, the form of one browser).
ISSUER = {
    *(f"/oauth/{name}" for name in ("token", "authorize", "revoke", "introspect", "device_authorization")),
    *("/oauth/userinfo", "/oauth/register", "/logout", "/register", "/verify", "/forgot", "/reset"),
    *(f"/.well-known/{name}" for name in ("oauth-authorization-server", "openid-configuration", "jwks.json")),
    *("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"),
}
ADMINISTERED = {"users": "users:admin", "clients": "clients:admin", "roles": "roles:admin", "audit": "audit:read"}

# A WebSocket answers no HTTP error: the function itself asks for `runs:read` (tests/agent_api/test_protocol_socket.py).
SOCKETS = {"/threads/{thread_id}/stream/events"}

SIGNED_IN = {"/docs", "/docs/oauth2-redirect", "/openapi.json", "/redoc"}  # any credential will do


def routes(app) -> list[tuple[str, object]]:
    """Every route with its full path; FastAPI nests included routers."""
    return [(context.path, context) for context in iter_route_contexts(app.routes)]


def declared(route) -> set[str]:
    """The permissions among a route's dependencies, whoever they are nested in."""
    pending, found = [dependant] if (dependant := getattr(route, "dependant", None)) else [], set()
    while pending:
        dependant = pending.pop()
        pending += dependant.dependencies
        found |= {getattr(dependant.call, "permission", None)}
    return found - {None}


def silent(app) -> list[str]:
    asked = [(path, route) for path, route in routes(app) if path not in PUBLIC | SIGNED_IN]
    return [path for path, route in asked if not declared(route) and not (path in SOCKETS and is_socket(route))]


def is_socket(route) -> bool:
    return not getattr(route, "methods", None)


def test_a_route_that_declares_nothing_is_found():
    class Scope:
        permission = "threads:read"

        def __call__(self) -> None:
            """Let everybody through."""

    router = APIRouter(prefix="/threads")
    router.get("/loud", dependencies=[Depends(Scope())])(lambda: None)
    router.get("/silent")(lambda: None)
    outer = APIRouter(prefix="/api/v1")
    outer.include_router(router)
    app = FastAPI(redoc_url=None)
    app.include_router(outer)
    assert silent(app) == ["/api/v1/threads/silent"]


def test_every_route_declares_a_permission():
    from codelab.core.permissions import ALL  # noqa: PLC0415
    from codelab.core.settings import Settings  # noqa: PLC0415
    from codelab.server.agent_api.app import agent_app  # noqa: PLC0415
    from codelab.server.app import create_app  # noqa: PLC0415

    app = create_app(Settings(_env_file=None))
    found = routes(app)
    assert len([path for path, _ in found if path.startswith("/api/v1/")]) >= 10
    assert silent(app) == []
    served = [*found, *routes(agent_app())]
    assert len([path for path, _ in served if path.startswith("/threads")]) >= 20
    assert silent(agent_app()) == []
    assert set().union(*(declared(route) for _, route in served)) <= ALL


def test_every_route_declares_a_permission_where_people_sign_in():  # attack 36
    from codelab.core.permissions import ALL  # noqa: PLC0415
    from codelab.core.settings import Settings  # noqa: PLC0415
    from codelab.server.app import create_app  # noqa: PLC0415
    from codelab.server.layers import authenticator, entrance_for  # noqa: PLC0415

    settings = Settings(_env_file=None, auth={"mode": "oauth"})
    app = create_app(settings)
    assert set(silent(app)) == ISSUER
    entrance = entrance_for(authenticator(settings))
    assert [path for path in ISSUER if not entrance.is_public(path)] == []
    found = routes(app)
    assert [path for path, route in found if declared(route) and entrance.is_public(path)] == []
    assert set().union(*(declared(route) for _, route in found)) <= ALL
    for noun, permission in ADMINISTERED.items():
        under = [route for path, route in found if f"{path}/".startswith(f"/api/v1/{noun}/")]
        assert under
        assert all(declared(route) & {permission, "roles:admin"} for route in under), noun
