"""A way to a server that can be cut and mended."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Forwards connections until `cut`; then they hang or are reset, and nobody gets in, until `mend`.

    Args:
        port: Of the server behind it, on this machine.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._whole = threading.Event()
        self._whole.set()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def cut(self, *, reset: bool = False) -> None:
        """Let nothing through: silence, or with `reset` an end of every connection."""
        self._whole.clear()
        if reset:
            self._drop()

    def mend(self) -> None:
        """Let everything through; what hung is dropped, as a network does that lost packets for too long."""
        self._drop()
        self._whole.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._closed = True
        self._listener.close()
        self._drop()
        self._whole.set()

    def _drop(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for end in (end for pair in pairs for end in pair):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._whole.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        try:
            self._pump(client, server)
        except OSError:
            pass
        finally:
            with self._lock:
                self._pairs.discard(pair)
            client.close()
            server.close()

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        ways = {client: server, server: client}
        for end in ways:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            readable, _, _ = select.select(list(ways), [], [], 0.5)
            self._whole.wait()
            for end in readable:
                data = end.recv(1 << 16)
                if not data:
                    return
                ways[end].sendall(data)
