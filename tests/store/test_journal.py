"""At most once, never twice; and a worker that lost its lease writes nothing."""

from dataclasses import replace

import pytest

from codelab.core.types import Principal
from codelab.store.artifacts import SqlArtifacts
from codelab.store.engine import Database
from codelab.store.journal import SqlJournal, finished_calls
from codelab.store.lease import Lease, LostLease
from codelab.tools.context import CallKey

ME = Principal("local")


async def test_a_call_starts_once(database: Database, thread_id: str, run_id: str) -> None:
    journal = SqlJournal(database, principal=ME, lease=Lease(run_id, 1, "me"))
    key = CallKey(thread_id, "m1", "c1")
    assert (await journal.begin(key, tool="write_file", before={"a": "1"})).fresh
    again = await journal.begin(key, tool="write_file", before={"a": "2"})
    assert (again.fresh, again.finished, again.before) == (False, False, {"a": "1"})
    await journal.note_process(key, 42)
    assert (await journal.begin(key, tool="write_file")).pgid == 42
    assert await finished_calls(database, thread_id) == set()
    await journal.finish(key, {"content": "done"})
    done = await journal.begin(key, tool="write_file")
    assert (done.finished, done.result) == (True, {"content": "done"})
    assert await finished_calls(database, thread_id) == {"c1"}


@pytest.mark.parametrize("stale", [{"attempt": 0}, {"owner": "them"}, {"run_id": "gone"}])
async def test_a_lost_lease_writes_nothing(database: Database, thread_id: str, run_id: str, stale: dict) -> None:
    journal = SqlJournal(database, principal=ME, lease=replace(Lease(run_id, 1, "me"), **stale))
    with pytest.raises(LostLease):
        await journal.begin(CallKey(thread_id, "m1", "c1"), tool="write_file")


async def test_artifacts_belong_to_thread_and_principal(database: Database, thread_id: str) -> None:
    mine = SqlArtifacts(database, ME, text_cap=10, thread_cap=25)
    first = await mine.put(thread_id, "x" * 50)
    assert await mine.get(thread_id, first) == "x" * 10
    assert await mine.get("other", first) is None
    assert await SqlArtifacts(database, Principal("eve")).get(thread_id, first) is None
    second, third = await mine.put(thread_id, "second\x00"), await mine.put(thread_id, "third text")
    assert await mine.get(thread_id, first) is None
    assert await mine.get(thread_id, second) == "second\ufffd"
    assert await mine.get(thread_id, third) == "third text"
