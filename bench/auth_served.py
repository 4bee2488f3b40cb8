"""The authorization server under load: one worker on one core, PostgreSQL and the clients on the other.

A peer in the same run is the npm package `oidc-provider` with everything in memory, on the same core; without node or
the package its column stays empty:

    npm install --prefix .conformance/oidc oidc-provider@9.13
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from bench.auth_load import request
from bench.auth_rows import PASSWORD, Cast, furnish
from bench.figures import Budget, Figure
from bench.folders import work_folder
from bench.llm_gateway import LOAD_CORE, serving
from codelab.auth.sessions.csrf import csrf_of
from tests.conformance.hosts import clean_environment
from tests.support import postgres
from tests.support.processes import free_port

QUICK: Final = bool(os.environ.get("BENCH_QUICK"))
"""Fewer and shorter samples: `make bench ARGS=auth BENCH_QUICK=1`."""
ROUNDS: Final = 1 if QUICK else 5
COUNT: Final = 500 if QUICK else 3000
LOGINS: Final = 60 if QUICK else 400
CONNECTIONS: Final = 8
FAMILIES: Final = 32
PEOPLE: Final = 64
TOKENS: Final = 100
"""Different access tokens that are looked up in turn."""
ROOT: Final = Path(__file__).parents[1]
OIDC: Final = ROOT / ".conformance" / "oidc"
PROBES: Final = ("/health", "/.well-known/jwks.json")
SEED: Final = "s" * 43
"""The cookie of a browser that was shown the form."""

BUDGETS: Final = {
    "client_rate": ("client_credentials/s", "/s", Budget(least=200)),
    "client_p95": (f"client_credentials p95, {CONNECTIONS} connections", "ms", Budget(most=60)),
    "client_cpu": ("client_credentials, CPU of the server", "µs", None),
    "whole_rate": ("client_credentials/s of the whole `codelab serve`", "/s", Budget(least=200)),
    "whole_p95": (f"the same, p95, {CONNECTIONS} connections", "ms", Budget(most=60)),
    "whole_cpu": ("the same, CPU of the server", "µs", None),
    "look_rate": ("introspection/s", "/s", Budget(least=300)),
    "look_p95": (f"introspection p95, {CONNECTIONS} connections", "ms", Budget(most=50)),
    "look_cpu": ("introspection, CPU of the server", "µs", None),
    "refresh_rate": (f"refresh/s, {FAMILIES} families", "/s", Budget(least=120)),
    "refresh_p95": (f"refresh p95, {FAMILIES} families", "ms", None),
    "refresh_cpu": ("refresh, CPU of the server", "µs", None),
    "login_rate": ("passwords/s of one core, right and wrong", "/s", Budget(least=15)),
    "health_p95": ("/health p95 during a login storm", "ms", Budget(most=50)),
    "jwks_p95": ("JWKS p95 during a login storm", "ms", Budget(most=50)),
}


@dataclass(frozen=True)
class Target:
    """A running authorization server."""

    port: int
    pid: int
    token: str
    look: str
    keys: str


OURS: Final = partial(Target, token="/oauth/token", look="/oauth/introspect", keys=PROBES[1])  # noqa: S106 - paths
PEER: Final = partial(Target, token="/token", look="/token/introspection", keys="/jwks")  # noqa: S106 - paths


async def measure() -> list[dict[str, Any]]:
    """Measure ours, then the peer; each has its core to itself."""
    figures = {name: Figure(what, unit) for name, (what, unit, _) in BUDGETS.items()}
    async with work_folder() as folder:
        with postgres.running_postgres() as server:
            for pid in _processes_of(server):
                os.sched_setaffinity(pid, {int(LOAD_CORE)})
            url = server.url(server.create())
            cast = await furnish(url, people=PEOPLE, families=FAMILIES * ROUNDS)
            with ours(folder, url) as target:
                for number in range(ROUNDS):
                    _issue(target, cast.secret, figures, "ours")
                    _look_up(target, cast.secret, figures, "ours")
                    _refresh(target, cast.refresh[number * FAMILIES :], figures)
                    _storm(target, cast, figures)
            with ours(folder, url, "--roles", "api,auth,llm") as target:
                for _ in range(ROUNDS):
                    _issue(target, cast.secret, figures, "ours", name="whole")
        if OIDC.exists() and shutil.which("node"):
            _peers(folder, figures)
    return [figures[name].row(budget) for name, (_, _, budget) in BUDGETS.items()]


def _peers(folder: Path, figures: dict[str, Figure]) -> None:
    """The peer issues tokens of the same form; it can look up only such that it keeps."""
    for form, measured in (("jwt", _issue), ("opaque", _look_up)):
        with peer(folder, form) as target:
            for _ in range(ROUNDS):
                measured(target, "peer-secret", figures, "bare")


def _issue(target: Target, secret: str, figures: dict[str, Figure], side: str, *, name: str = "client") -> None:
    """Tokens for a service."""
    form = {"grant_type": "client_credentials", "scope": "threads:read"}
    asked = request("POST", target.token, form, authorization=_basic(secret))
    _note(figures, name, side, load(target, requests=[asked]))


def _look_up(target: Target, secret: str, figures: dict[str, Figure], side: str) -> None:
    """What tokens are worth, asked for again and again."""
    headers = {"authorization": _basic(secret)}
    looks = [
        request("POST", target.look, {"token": token}, **headers)
        for token in _access_tokens(target, secret, 10 if QUICK else TOKENS)
    ]
    _note(figures, "look", side, load(target, requests=looks))


def _refresh(target: Target, tokens: list[str], figures: dict[str, Figure]) -> None:
    found = load(target, tokens=tokens[:FAMILIES], connections=FAMILIES)
    _note(figures, "refresh", "ours", found)


def _storm(target: Target, cast: Cast, figures: dict[str, Figure]) -> None:
    """People sign in by both ways, half of them with a wrong password, while others ask for small things."""
    asked = [each for email in cast.people for each in _logins(email)]
    told = load(
        target, requests=asked, connections=CONNECTIONS, count=LOGINS, statuses=[200, 303, 400, 401], probes=PROBES
    )
    for name, value in (("login_rate", "rate"), ("health_p95", "probe0"), ("jwks_p95", "probe1")):
        figures[name].ours.append(told[value])


def _logins(email: str) -> list[str]:
    made = []
    for password in (PASSWORD, "wrong horse"):
        page = {"username": email, "password": password, "csrf": csrf_of(SEED)}
        grant = {"grant_type": "password", "client_id": "own", "scope": "threads:read", **page}
        made.append(request("POST", "/login", page, cookie=f"pre={SEED}"))
        made.append(request("POST", "/oauth/token", grant))
    return made


def _note(figures: dict[str, Figure], name: str, side: str, told: dict[str, float]) -> None:
    for kind, value in (("rate", "rate"), ("p95", "p95"), ("cpu", "cpu_us")):
        getattr(figures[f"{name}_{kind}"], side).append(told[value])


def load(target: Target, **asked: Any) -> dict[str, float]:
    """Run the clients on their own core."""
    spec = {"port": target.port, "pid": target.pid, "connections": CONNECTIONS, "count": COUNT, **asked}
    done = subprocess.run(
        ["taskset", "-c", LOAD_CORE, sys.executable, "-m", "bench.auth_load"],
        cwd=ROOT,
        input=json.dumps(spec),
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if done.returncode:
        raise RuntimeError(done.stderr or done.stdout)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _access_tokens(target: Target, secret: str, count: int) -> list[str]:
    form = {"grant_type": "client_credentials", "scope": "threads:read"}
    with httpx.Client(base_url=f"http://127.0.0.1:{target.port}", auth=("service", secret)) as http:
        return [str(http.post(target.token, data=form).raise_for_status().json()["access_token"]) for _ in range(count)]


def _basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"service:{secret}".encode()).decode()


@contextmanager
def ours(folder: Path, database: str, *roles: str) -> Iterator[Target]:
    """`codelab serve --roles auth`, or of other roles; lock-outs are far away, or they would spare it the hashing."""
    port = free_port()
    env = clean_environment(
        CODELAB_DATA_DIR=str(folder / "data"),
        CODELAB_DATABASE__URL=database,
        CODELAB_AUTH__MODE="oauth",
        CODELAB_AUTH__PASSWORD_GRANT="true",  # noqa: S106 - a switch
        CODELAB_AUTH__LOCKOUT__ATTEMPTS="100",
        CODELAB_AUTH__LOCKOUT__ATTEMPTS_PER_ACCOUNT="1000000",
        CODELAB_AUTH__LOCKOUT__ATTEMPTS_PER_ADDRESS="1000000",
        CODELAB_AUTH__LOCKOUT__WINDOW_S="1",
    )
    command = [str(Path(sys.executable).parent / "codelab"), "serve", *(roles or ("--roles", "auth"))]
    command += ["--port", str(port)]
    with serving(command, env, folder / "ours.log", f"http://127.0.0.1:{port}/health") as pid:
        yield OURS(port, pid)


@contextmanager
def peer(folder: Path, tokens: str) -> Iterator[Target]:
    """`oidc-provider` in one process, with access tokens that are `jwt` or `opaque`."""
    port = free_port()
    command = [str(shutil.which("node")), str(Path(__file__).parent / "auth_peer.mjs"), str(OIDC), str(port)]
    env = clean_environment(NODE_ENV="production", PEER_TOKENS=tokens)
    with serving(command, env, folder / "peer.log", f"http://127.0.0.1:{port}/jwks") as pid:
        yield PEER(port, pid)


def _processes_of(server: postgres.Postgres) -> list[int]:
    """The postmaster: what it starts inherits its core."""
    listening = httpx.URL(server.admin_url).port
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if f"\0-p\0{listening}\0".encode() in path.read_bytes()
    ]
