"""What one request may read from the cache and write to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .stores import Stamp

if TYPE_CHECKING:
    from .questions import Question
    from .semantic import Near


class CachePlan:
    """One request's dealings with the cache.

    Attributes:
        key: Of its answer; None if there can be none (`only` was asked for something that is not cached).
        tags: What its answer depends on.
        stamp: The generations of the tags when it was asked; None while they are not known.
        ttl_s: The answer is kept so long, and no older one is taken.
        choices: How many answers in one are wanted.
        rules: How it wants to be treated: who wants otherwise does not share an answer on its way.
        question: What a similar question may be found by; None where only the same one will do.
        near: A similar question's answer that was found and not given: to be compared.
    """

    __slots__ = (
        "choices",
        "key",
        "model",
        "near",
        "only",
        "question",
        "reads",
        "rules",
        "stamp",
        "streamed",
        "tags",
        "tenant",
        "ttl_s",
    )

    def __init__(self, *, key: bytes | None, tenant: str, model: str, tags: Sequence[str] = ()) -> None:
        self.key = key
        self.tenant = tenant
        self.model = model
        self.tags = tuple(tags)
        self.stamp: Stamp | None = None
        self.reads = True
        self.only = False
        self.streamed = False
        self.ttl_s = 0.0
        self.choices = 1
        self.rules: tuple[object, ...] = ()
        self.question: Question | None = None
        self.near: Near | None = None

    @property
    def name(self) -> str:
        """The key as text: what an administrator forgets the answer by."""
        return self.key.hex() if self.key else ""

    @property
    def flight(self) -> tuple[object, ...]:
        """What those have in common who may follow one answer: they want it in the same shape, by the same rules."""
        return (self.key, self.stamp, self.streamed, self.rules)
