"""What goes through the gateway: a request in OpenAI's dialect, who asks, how to treat it, and what became of it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..core.types import new_id
from .usage import Usage

Body = dict[str, Any]
CacheUse = Literal["default", "on", "off", "refresh", "only"]
"""`refresh` asks anew and stores; `only` answers from the cache or not at all."""
CacheOutcome = Literal["hit", "semantic", "stale", "shared", "miss", "bypass"]
"""`shared`: answered along with somebody else's request for the same."""
Degraded = Literal["failover", "cheaper", "stale", "offline", "shed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and for what: what budgets, the ledger and the cache's walls go by.

    Attributes:
        key_id: Of the API key, if one was used.
        session: What the provider's prompt cache is kept warm for; default: the thread.
        priority: Batch work makes room for people who wait.
    """

    user_id: str
    tenant_id: str = "default"
    key_id: str = ""
    thread_id: str = ""
    run_id: str = ""
    agent: str = ""
    session: str = ""
    priority: Literal["interactive", "batch"] = "interactive"


_LOCAL: Final = Caller(user_id="local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """How one request is to be treated.

    Attributes:
        cache: Default: temperature 0 of direct clients only; never for an agent's traffic.
        ttl_s: Keep the answer this long; default: the setting.
        tags: Names of what the answer depends on (`prompt:…`, `repo:…@…`); to bump one forgets the answer.
        semantic: Whether a similar question's answer will do; default: the setting.
        replay_rate: Tokens a second of a replayed stream; default: as fast as possible.
        deadline_s: Seconds until an answer must have begun and, not streamed, ended.
        fallback: Whether another model may answer.
        route: Whether the model may be chosen by cost (`model` is then what the choice starts from).
        exact_model: The response must name the model and id as we know them: bytes are not passed through.
    """

    cache: CacheUse = "default"
    ttl_s: float | None = None
    tags: tuple[str, ...] = ()
    semantic: bool | None = None
    replay_rate: float | None = None
    deadline_s: float | None = None
    fallback: bool = True
    route: bool = False
    exact_model: bool = False


_CALLER: Final[ContextVar[Caller]] = ContextVar("caller")


def call_for(caller: Caller) -> None:
    """Say on whose behalf the code of this context calls models from now on; hosts of runs do."""
    _CALLER.set(caller)


def current_caller() -> Caller:
    """On whose behalf this context calls models: local mode's user where nobody said."""
    return _CALLER.get(_LOCAL)


DIRECT = Controls()
AGENT = Controls(cache="off")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """One request for an answer.

    Attributes:
        body: OpenAI's chat completion request, checked (`model`, `messages`); never changed by anybody.
        raw: The bytes it came as, if it came as bytes.
    """

    body: Body
    caller: Caller
    controls: Controls = DIRECT
    raw: bytes | None = None
    id: str = field(default_factory=new_id)

    @property
    def model(self) -> str:
        """The id, alias or role that was asked for."""
        return str(self.body["model"])

    @property
    def streamed(self) -> bool:
        """Whether the answer is wanted as it is made."""
        return bool(self.body.get("stream"))


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of a request; filled while the answer is made, complete once its stream has ended.

    Attributes:
        request_id: Whose outcome it is.
        model: The catalogue's id of the model that answered.
        attempts: Requests that were sent to providers.
        cost: What it cost, in nano-dollars.
        price_version: Of the prices that `cost` was reckoned with.
        saved: What the cache saved, in nano-dollars.
        cache_key: What the answer is, or would be, stored under; empty if it may not be.
        began: `time.monotonic` at the start; `first` at the first event, `ended` at the end.
        error: The code of what went wrong, if anything did.
        tried: What each attempt came to, `provider/model: code`.
        baseline: Whom it would have gone to if the model had not been chosen by cost; empty if it was not.
        awaited: Whether whoever asked still waits for it.
    """

    request_id: str = ""
    provider: str = ""
    model: str = ""
    cache: CacheOutcome = "bypass"
    degraded: Degraded | None = None
    attempts: int = 0
    usage: Usage = field(default_factory=Usage)
    raw_usage: dict[str, Any] = field(default_factory=dict)
    cost: int = 0
    price_version: str = ""
    saved: int = 0
    cache_key: str = ""
    began: float = 0
    first: float | None = None
    ended: float | None = None
    finish: str = ""
    error: str = ""
    tried: list[str] = field(default_factory=list)
    baseline: str = ""
    awaited: bool = True
