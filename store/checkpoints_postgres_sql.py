"""The statements of the PostgreSQL saver: each call is one statement, which is one round trip and one transaction."""

from __future__ import annotations

from typing import Final

# By primary key, whatever the planner thinks of the table: OFFSET keeps the other conditions outside.
_HELD: Final = """
    SELECT l.n
    FROM unnest(%(l0)s, %(l1)s, %(l2)s, %(l3)s) AS l (n, run, attempt, owner)
    CROSS JOIN LATERAL (
        SELECT attempt, owner, status FROM runs WHERE id = l.run OFFSET 0 FOR SHARE{skip}
    ) AS r
    WHERE r.attempt = l.attempt AND r.owner = l.owner AND r.status = 'running'"""

_WRITE: Final = """
WITH held AS MATERIALIZED (
    SELECT 0 AS n UNION ALL SELECT * FROM ({held}
    ) AS proved
), new_blobs AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT b.thread_id, b.checkpoint_ns, b.channel, b.version, b.type, b.blob
    FROM held JOIN unnest(
        %(b0)s, %(b1)s, %(b2)s, %(b3)s, %(b4)s, %(b5)s, %(b6)s
    ) AS b (n, thread_id, checkpoint_ns, channel, version, type, blob) USING (n)
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
), new_checkpoints AS (
    INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
    SELECT c.thread_id, c.checkpoint_ns, c.checkpoint_id, c.parent_id, c.checkpoint::jsonb, c.metadata::jsonb
    FROM held JOIN unnest(
        %(c0)s, %(c1)s, %(c2)s, %(c3)s, %(c4)s, %(c5)s, %(c6)s
    ) AS c (n, thread_id, checkpoint_ns, checkpoint_id, parent_id, checkpoint, metadata) USING (n)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET
        checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata
), new_writes AS (
    INSERT INTO checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob, run_id)
    SELECT
        w.thread_id, w.checkpoint_ns, w.checkpoint_id, w.task_id, w.task_path, w.idx, w.channel, w.type, w.blob,
        w.run_id
    FROM held JOIN unnest(
        %(w0)s, %(w1)s, %(w2)s, %(w3)s, %(w4)s, %(w5)s, %(w6)s,
        %(w7)s, %(w8)s, %(w9)s, %(w10)s
    ) AS w (n, thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob, run_id) USING (n)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO UPDATE SET
        channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob, run_id = EXCLUDED.run_id
        WHERE EXCLUDED.idx < 0
)
SELECT n FROM held
"""

WRITE_ALONE: Final = _WRITE.format(held=_HELD.format(skip=""))
"""Waits for who holds the run's row: a takeover decides, then this is refused or goes through."""
WRITE_TOGETHER: Final = _WRITE.format(held=_HELD.format(skip=" SKIP LOCKED"))
"""Waits for nobody: what is not held now is tried alone."""

PROVE: Final = _HELD.format(skip="")
"""Gives a row if the lease is held, and keeps it until the transaction ends."""

ADD_WRITER: Final = "ALTER TABLE checkpoint_writes ADD COLUMN IF NOT EXISTS run_id TEXT"
"""A column of ours, which tells which run wrote."""

_DELETE_NAMESPACES: Final = """
WITH held AS MATERIALIZED (
    SELECT 0 AS n UNION ALL SELECT * FROM ({held}
    ) AS proved
), a AS (
    DELETE FROM checkpoints USING held WHERE n = %(number)s AND thread_id = %(thread)s AND checkpoint_ns <> ''
), b AS (
    DELETE FROM checkpoint_blobs USING held WHERE n = %(number)s AND thread_id = %(thread)s AND checkpoint_ns <> ''
), c AS (
    DELETE FROM checkpoint_writes USING held WHERE n = %(number)s AND thread_id = %(thread)s AND checkpoint_ns <> ''
)
SELECT n FROM held WHERE n = %(number)s
"""
DELETE_NAMESPACES: Final = _DELETE_NAMESPACES.format(held=PROVE)
"""Number 0 needs no lease; no row means that it is lost."""

COPY: Final = """
WITH a AS (
    INSERT INTO checkpoints
        (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
    SELECT %(target)s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata
    FROM checkpoints WHERE thread_id = %(source)s
    ON CONFLICT DO NOTHING
), b AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT %(target)s, checkpoint_ns, channel, version, type, blob
    FROM checkpoint_blobs WHERE thread_id = %(source)s
    ON CONFLICT DO NOTHING
)
INSERT INTO checkpoint_writes
    (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob, run_id)
SELECT %(target)s, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob, run_id
FROM checkpoint_writes WHERE thread_id = %(source)s
ON CONFLICT DO NOTHING
"""

_DELETE_RUNS: Final = """
WITH doomed AS (
    DELETE FROM checkpoints WHERE {which} metadata ->> 'run_id' = ANY(%(runs)s)
    RETURNING thread_id, checkpoint_ns, checkpoint_id, checkpoint -> 'channel_versions' AS versions
), gone AS (
    DELETE FROM checkpoint_writes WHERE {which} (
        run_id = ANY(%(runs)s)
        OR (thread_id, checkpoint_ns, checkpoint_id) IN (SELECT thread_id, checkpoint_ns, checkpoint_id FROM doomed)
    )
), unused AS (
    SELECT d.thread_id, d.checkpoint_ns, v.key AS channel, v.value AS version
    FROM doomed d CROSS JOIN LATERAL jsonb_each_text(d.versions) v
    EXCEPT
    SELECT c.thread_id, c.checkpoint_ns, v.key, v.value
    FROM checkpoints c CROSS JOIN LATERAL jsonb_each_text(c.checkpoint -> 'channel_versions') v
    WHERE c.thread_id IN (SELECT thread_id FROM doomed)
    AND (c.metadata ->> 'run_id' = ANY(%(runs)s)) IS NOT TRUE
)
DELETE FROM checkpoint_blobs b USING unused u
WHERE b.thread_id = u.thread_id AND b.checkpoint_ns = u.checkpoint_ns
AND b.channel = u.channel AND b.version = u.version
"""
DELETE_RUNS: Final = _DELETE_RUNS.format(which="")
DELETE_RUNS_IN_THREAD: Final = _DELETE_RUNS.format(which="thread_id = %(thread)s AND")
