"""An application on its address: start, readiness, graceful end. It knows nothing of what is served."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import typer
import uvicorn

from ..core.settings import Settings
from ..core.telemetry import configure_logs
from ..tools.processes import keep_private
from . import memory
from .ending import DONE, FAILED, USAGE, complain
from .starting import Starting
from .texts import say

GRACE_S: Final = 5
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Server(uvicorn.Server):
    """uvicorn, which ends quietly on SIGTERM and Ctrl-C and tells when it listens."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Turn signals into a graceful end, and let the process live on after it."""
        # Bound methods of the server: the event streams find it by its signal handler and end with it.
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; Ctrl-C pressed again does not wait for requests. No word to others: they may serve on."""
        del frame
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready.set()

    @property
    def port(self) -> int:
        """The port it really listens on."""
        return int(self.servers[0].sockets[0].getsockname()[1])


def may_listen(settings: Settings) -> bool:
    """Whether local mode stays on this machine; says so if it does not."""
    if settings.auth.mode == "local" and settings.server.host not in _LOOPBACK:
        complain(say("loopback_only", host=settings.server.host))
        return False
    return True


def prepare(settings: Settings) -> None:
    """Set up logs and the process."""
    configure_logs(settings.log)
    keep_private()
    for chatty in ("uvicorn", "alembic"):  # what they tell at INFO is said below, in the person's language
        logging.getLogger(chatty).setLevel(logging.WARNING)


async def listen(app: Any, settings: Settings, welcome: Callable[[Server], Awaitable[bool]]) -> int:
    """Serve an app; `welcome` speaks once it listens, and may end it. Raises why it cannot start."""
    starting = Starting(app)
    config = uvicorn.Config(
        starting,
        host=settings.server.host,
        port=settings.server.port,
        ws="auto",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        proxy_headers=bool(settings.server.trusted_proxies),  # else anybody on this machine could choose an address
        forwarded_allow_ips=settings.server.trusted_proxies,
    )
    ready = asyncio.Event()
    server = Server(config, ready)
    serving = asyncio.create_task(_served(server))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    memory.tune()
    welcomed = not ready.is_set() or await welcome(server)
    code = await serving
    if starting.error is not None:
        raise starting.error
    return code if welcomed else USAGE


async def _served(server: Server) -> int:
    try:
        await server.serve()
    except SystemExit:  # uvicorn's way of saying that the address is taken
        return FAILED
    return DONE if server.started else FAILED


def settings_for(host: str | None, port: int | None) -> Settings:
    """Read the settings; what the command line says goes before."""
    settings = Settings()
    told = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return settings.model_copy(update={"server": settings.server.model_copy(update=told)})


def base_url(server: Server, settings: Settings) -> str:
    """Name the address it listens on."""
    name = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    return f"http://{name}:{server.port}"


def tell_token(settings: Settings) -> None:
    """Say where the token for programs is."""
    typer.echo(say("token_set") if settings.server.token else say("token_file", path=settings.data_dir / "token"))
