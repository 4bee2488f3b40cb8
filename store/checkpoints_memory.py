"""Checkpoints in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.memory import InMemorySaver

from .checkpoints_fence import Fenced, checked, is_delta, signed, writer
from .serde import make_serde

_Place = tuple[str, str, str]
_Saved = tuple[tuple[str, bytes], tuple[str, bytes], str | None]


class MemorySaver(Fenced, InMemorySaver):
    """Fenced by the run's own word alone: who shares this memory shares the process."""

    def __init__(self) -> None:
        super().__init__(serde=make_serde())
        self._writers: dict[_Place, dict[tuple[str, int], str | None]] = defaultdict(dict)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Write a checkpoint."""
        self.fence()
        return await super().aput(config, checkpoint, metadata, new_versions)

    @signed
    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Write what a task wrote."""
        self.fence()
        await super().aput_writes(config, writes, task_id, task_path)
        configurable = config["configurable"]
        place = (configurable["thread_id"], configurable.get("checkpoint_ns", ""), configurable["checkpoint_id"])
        run_id, writers = writer(config), self._writers[place]
        for index, (channel, _) in enumerate(writes):
            key = (task_id, WRITES_IDX_MAP.get(channel, index))
            if key[1] < 0 or key not in writers:  # as the writes themselves: only these are written over
                writers[key] = run_id

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Drop what runs wrote, copies of it too."""
        for thread_id in list(self.storage):
            await self.drop_runs(thread_id, run_ids)

    async def drop_runs(self, thread_id: str, run_ids: Sequence[str]) -> None:
        """Drop what runs wrote in a thread: its newest checkpoint is the one before."""
        self.fence()
        doomed = set(run_ids)
        if thread_id in self.storage:
            self._drop(
                (thread_id, namespace, checkpoint_id)
                for namespace, checkpoints in self.storage[thread_id].items()
                for checkpoint_id, saved in checkpoints.items()
                if self._metadata(saved).get("run_id") in doomed
            )
        for place in [place for place in self._writers if place[0] == thread_id]:
            for key, run_id in self._writers[place].items():
                if run_id in doomed:
                    self.writes[place].pop(key, None)
        self._forget_writers()

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy everything of a thread."""
        self.fence()
        for namespace, checkpoints in list(self.storage.get(source_thread_id, {}).items()):
            self.storage[target_thread_id][namespace].update(checkpoints)
        for (thread_id, namespace, checkpoint_id), writes in list(self.writes.items()):
            if thread_id == source_thread_id:
                self.writes[target_thread_id, namespace, checkpoint_id] = dict(writes)
                writers = self._writers[source_thread_id, namespace, checkpoint_id]
                self._writers[target_thread_id, namespace, checkpoint_id] = dict(writers)
        for (thread_id, namespace, channel, version), blob in list(self.blobs.items()):
            if thread_id == source_thread_id:
                self.blobs[target_thread_id, namespace, channel, version] = blob

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep the newest checkpoint of each namespace, or nothing."""
        self.fence()
        for thread_id in checked(thread_ids, strategy):
            if strategy == "delete":
                self.delete_thread(thread_id)
            elif thread_id in self.storage:
                self._keep_latest(thread_id)
        self._forget_writers()

    async def adelete_thread(self, thread_id: str) -> None:
        """Drop everything of a thread."""
        self.fence()
        await super().adelete_thread(thread_id)
        self._forget_writers()

    async def drop_namespaces(self, thread_id: str) -> None:
        """Drop the checkpoints of all sub-graphs; no look at other threads: every turn ends with this."""
        namespaces = self.storage.get(thread_id, {})
        for namespace in [name for name in namespaces if name]:
            for checkpoint_id, saved in namespaces.pop(namespace).items():
                self.writes.pop((thread_id, namespace, checkpoint_id), None)
                self._writers.pop((thread_id, namespace, checkpoint_id), None)
                for channel, version in self._versions(saved).items():
                    self.blobs.pop((thread_id, namespace, channel, version), None)

    def _keep_latest(self, thread_id: str) -> None:
        namespaces = self.storage[thread_id]
        if any(is_delta(self._metadata(saved)) for kept in namespaces.values() for saved in kept.values()):
            return
        newest = {namespace: max(kept) for namespace, kept in namespaces.items() if kept}
        roots = namespaces.get("", {}).keys() - {newest.get("")}
        for namespace, checkpoint_id in list(newest.items()):
            parents = self._metadata(namespaces[namespace][checkpoint_id]).get("parents") or {}
            if ":" in namespace and parents.get("") in roots:  # a call goes with the checkpoint that it started from
                del newest[namespace]
        self._drop(
            (thread_id, namespace, checkpoint_id)
            for namespace, kept in namespaces.items()
            for checkpoint_id in kept
            if newest.get(namespace) != checkpoint_id
        )
        for namespace, checkpoint_id in newest.items():
            checkpoint, metadata, _ = namespaces[namespace][checkpoint_id]
            namespaces[namespace][checkpoint_id] = (checkpoint, metadata, None)

    def _drop(self, keys: Iterable[_Place]) -> None:
        touched = set()
        for thread_id, namespace, checkpoint_id in list(keys):
            del self.storage[thread_id][namespace][checkpoint_id]
            self.writes.pop((thread_id, namespace, checkpoint_id), None)
            touched.add((thread_id, namespace))
        kept = {
            (*place, channel, version)
            for place in touched
            for saved in self.storage[place[0]][place[1]].values()
            for channel, version in self._versions(saved).items()
        }
        for key in [key for key in self.blobs if key[:2] in touched and key not in kept]:
            del self.blobs[key]

    def _forget_writers(self) -> None:
        """Forget who wrote what is gone."""
        for place in list(self._writers):
            kept = self.writes.get(place, {})
            self._writers[place] = {key: run_id for key, run_id in self._writers[place].items() if key in kept}
            if not kept:
                del self._writers[place]
                self.writes.pop(place, None)

    def _versions(self, saved: _Saved) -> ChannelVersions:
        versions: ChannelVersions = self.serde.loads_typed(saved[0])["channel_versions"]
        return versions

    def _metadata(self, saved: _Saved) -> dict[str, Any]:
        metadata: dict[str, Any] = self.serde.loads_typed(saved[1])
        return metadata
