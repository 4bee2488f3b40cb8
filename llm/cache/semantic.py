"""Answers to similar questions: found by vectors, held back by a guard, given only as far as an entry has earned it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog

from ...core.errors import CodeLabError
from ...core.settings_llm import SemanticCacheSettings
from ..chat import CompletionRequest
from .counters import Counters
from .guard import agree, same_answer
from .index import Index, Row, Vector, unit
from .plan import CachePlan
from .questions import Question, question_of
from .trust import earned

Embed = Callable[[list[str]], Awaitable[Sequence[Sequence[float]]]]

log = structlog.get_logger(__name__)
_FAILURES: Final = (CodeLabError, OSError, TimeoutError)


class Near:
    """A stored question that this one may mean.

    Attributes:
        key: Of its answer.
        answer: The answer's text, once it has been looked up.
    """

    __slots__ = ("answer", "row", "similarity")

    def __init__(self, row: Row, similarity: float) -> None:
        self.row = row
        self.similarity = similarity
        self.answer = ""

    @property
    def key(self) -> bytes:
        """Of its answer."""
        return self.row.key


class SemanticCache:
    """Finds similar questions.

    Args:
        embed: Gives vectors of texts; if it fails there is no similar question.
        settings: `shadow` gives no answer and compares each one that would have been given.
        same: Whether two answers say the same.
        chance: Numbers from 0 to 1.
    """

    def __init__(
        self,
        embed: Embed,
        settings: SemanticCacheSettings,
        *,
        same: Callable[[str, str], bool] = same_answer,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._embed = embed
        self._settings = settings
        self._same = same
        self._chance = chance
        self._index = Index(settings.max_entries)

    def __len__(self) -> int:
        """How many questions are known."""
        return len(self._index)

    def question(self, request: CompletionRequest, identity: Sequence[Any]) -> Question | None:
        """Tell what a similar question may be found by; None where only the same one will do."""
        return question_of(request, identity)

    async def look(self, question: Question, counters: Counters) -> Near | None:
        """Find the nearest question that nothing tells apart from this one."""
        counters.semantic_lookups += 1
        vector = await self._vector(question.text)
        question.vector = vector
        if vector is None:
            return None
        for similarity, row in self._index.nearest(question.partition, vector):
            if similarity < self._settings.threshold:
                return None
            if agree(question.text, row.text):
                return Near(row, min(similarity, 1.0))
            counters.guarded += 1
        return None

    def trusts(self, near: Near) -> bool:
        """Whether an answer may be given: in doubt it is asked for anew, and the two are compared."""
        return not self._settings.shadow and self._chance() < earned(
            near.row.seen, near.similarity, delta=self._settings.delta
        )

    def learn(self, plan: CachePlan, answer: str, counters: Counters) -> None:
        """Compare a fresh answer with the one that was held back, and know its question from now on."""
        near, question = plan.near, plan.question
        plan.near = None
        if near is not None:
            same = self._same(near.answer, answer)
            near.row.note(near.similarity, same=same)
            counters.scored += 1
            counters.agreed += same
            if same:
                return
        if question is not None and question.vector is not None and plan.key is not None and answer:
            self._add(question, question.vector, plan.key)

    def forget(self, near: Near) -> None:
        """Forget a question whose answer is gone."""
        self._index.remove(near.row)

    def _add(self, question: Question, vector: Vector, key: bytes) -> None:
        for _, row in self._index.nearest(question.partition, vector):
            if row.key == key:
                return
        self._index.add(vector, Row(text=question.text, key=key, partition=question.partition))

    async def _vector(self, text: str) -> Vector | None:
        try:
            vectors = await self._embed([text])
        except _FAILURES as exc:
            log.warning("semantic_cache_embedder_failed", error=type(exc).__name__)
            return None
        return unit(vectors[0]) if vectors else None
