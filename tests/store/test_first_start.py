"""Several programs start on one SQLite file that is not there yet."""

import asyncio
from pathlib import Path

from codelab.store.checkpoints import open_checkpoints
from codelab.store.engine import Database
from codelab.store.migrate import prepare


async def test_many_first_starts_at_once(tmp_path: Path) -> None:
    async def start() -> None:
        database = Database(f"sqlite:///{tmp_path / 'fresh' / 'codelab.db'}")
        await prepare(database)
        async with open_checkpoints(database) as checkpoints, database.read() as session:
            assert (await session.connection()).dialect.name == "sqlite"
            await checkpoints.store.aput(("a",), "k", {"v": 1})
        await database.close()

    for _ in range(3):
        await asyncio.gather(*(start() for _ in range(4)))
        for file in (tmp_path / "fresh").iterdir():
            file.unlink()
