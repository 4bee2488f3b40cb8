"""What one request has come to so far."""

from __future__ import annotations

from ..chat import CompletionRequest, Outcome
from ..errors import Interrupted, Refused, UpstreamError
from ..events import Batch
from .commitment import without_role
from .ladder import degradation
from .lines import Call, Line


class Turn:
    """One request on its way through the candidates.

    Attributes:
        queue: The lines still to be asked in this round.
        full: Those that had no seat.
        error: How the last call ended, if any was made.
        patience: Seconds that may still be spent on waiting.
        barred: No repetition is left to it.
        committed: Something was said that nobody else may add to.
    """

    __slots__ = (
        "_asked", "_degraded", "_emitted", "_interrupted", "barred", "committed", "deadline", "error", "full", "lines",
        "outcome", "patience", "queue", "request", "rounds",
    )  # fmt: skip

    def __init__(self, request: CompletionRequest, outcome: Outcome, lines: list[Line], *, deadline: float) -> None:
        self.request = request
        self.outcome = outcome
        self.lines = lines
        self.queue = lines[:]
        self.full: list[Line] = []
        self.error: UpstreamError | None = None
        self.deadline = deadline
        self.patience = 0.0
        self.rounds = 0
        self.barred = self.committed = False
        self._asked: dict[str, UpstreamError | None] = {}
        self._degraded = outcome.degraded
        self._emitted = self._interrupted = False

    def was_asked(self, line: Line) -> bool:
        """Whether a call was made on a line."""
        return line.name in self._asked

    def eligible(self) -> list[Line]:
        """The lines that may be asked (again): a key that was refused will be again."""
        return [line for line in self.lines if not isinstance(self._asked.get(line.name), Refused)]

    def next_round(self) -> None:
        """Queue everybody again."""
        self.rounds += 1
        self.full = []
        self.queue = self.eligible()

    def calls(self, call: Call) -> None:
        """Note who is asked now, and how far that is from what was wanted."""
        outcome, line, asked = self.outcome, call.line, self.lines[0].model
        outcome.attempts += 1
        outcome.provider, outcome.model = line.model.provider.name, line.model.id
        outcome.degraded = degradation(asked, line.model, failed=bool(self._asked)) or self._degraded
        self._asked[line.name] = None
        self._interrupted = self._emitted

    def gives(self, batch: Batch) -> Batch:
        """Hand a batch on; what the client was told of the answer's form before is left out."""
        self._emitted = True
        return without_role(batch) if self._interrupted else batch

    def failed(self, call: Call, error: UpstreamError) -> None:
        """Note how a call failed. Raises what the client is to be told, if nobody else may be asked."""
        self.outcome.tried.append(f"{call.line.name}: {error.code}")
        self._asked[call.line.name] = self.error = error
        if self.committed and error.retryable:
            raise Interrupted(f"The answer broke off ({error.code}); ask again.") from error
        if not error.retryable:
            raise error
