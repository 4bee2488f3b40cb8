"""What goes wrong with a model's answer, one tree; each error knows OpenAI's words for it.

UpstreamError                      code                    counts against the model's health
├── ConnectFailed 502              upstream_unreachable    yes
├── TimedOut 504                   upstream_timeout        yes
├── Interrupted 502                upstream_interrupted    yes   (the answer broke off)
├── Malformed 502                  upstream_malformed      yes
├── Overloaded 429                 rate_limited            yes   (`retry_after`)
├── ServerFailed 502               upstream_error          yes
├── Rejected 400                   (the provider's own)    no    another model would say the same
└── Refused 502                    upstream_auth           no    our key or address is wrong; another provider may do
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.errors import CodeLabError


class UpstreamError(CodeLabError):
    """A provider did not answer as it should.

    Args:
        message: What to tell the client; never a key, an address, or an upstream's headers.
        retry_after: Seconds the provider asks to wait.
        param: What of the request is at fault, in OpenAI's words.
    """

    status: ClassVar[int] = 502
    default_code: ClassVar[str] = "upstream_error"
    kind: ClassVar[str] = "api_error"
    counts: ClassVar[bool] = True
    """Whether it speaks against the model's health."""
    retryable: ClassVar[bool] = True
    """Whether the same request may be sent again, to the same model or another."""

    def __init__(
        self, message: str, *, code: str | None = None, retry_after: float | None = None, param: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        self.param = param


class ConnectFailed(UpstreamError):  # noqa: N818
    """Nobody answered the telephone."""

    default_code = "upstream_unreachable"


class TimedOut(UpstreamError):  # noqa: N818
    """No byte came for too long."""

    status = 504
    default_code = "upstream_timeout"


class Interrupted(UpstreamError):  # noqa: N818
    """The answer broke off before its end."""

    default_code = "upstream_interrupted"


class Malformed(UpstreamError):  # noqa: N818
    """What came was not what the provider's API says."""

    default_code = "upstream_malformed"


class Overloaded(UpstreamError):  # noqa: N818
    """429, or the provider's own word for it."""

    status = 429
    default_code = "rate_limited"
    kind = "rate_limit_error"


class ServerFailed(UpstreamError):  # noqa: N818
    """5xx."""


class Rejected(UpstreamError):  # noqa: N818
    """The request is at fault (400, 404, 413, 422, a content filter): the client is told the provider's words.

    Args:
        status: The provider's.
    """

    kind = "invalid_request_error"
    counts = False
    retryable = False

    def __init__(self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message, code=code or "invalid_request", param=param)
        self.status = status  # type: ignore[misc]


class Refused(UpstreamError):  # noqa: N818
    """The provider takes our credential or address for wrong (401, 403, 402): not the client's fault."""

    default_code = "upstream_auth"
    counts = False


class BudgetExceeded(CodeLabError):  # noqa: N818
    """A budget has no room for this request.

    Args:
        retry_after: Seconds until the budget's next period.
        cheaper: Whether the budget would have a cheaper model asked instead.
        extra: Which budget, and how it stands.
    """

    status = 402
    default_code = "budget_exceeded"

    def __init__(self, message: str, *, retry_after: float | None = None, cheaper: bool = False, **extra: Any) -> None:
        super().__init__(message, **extra)
        self.retry_after = retry_after
        self.cheaper = cheaper


class NoModel(CodeLabError):  # noqa: N818
    """There is no such model, or not for this request."""

    status = 404
    default_code = "model_not_found"


class NotCached(CodeLabError):  # noqa: N818
    """The request wanted an answer from the cache only, and there is none."""

    status = 504
    default_code = "not_cached"


class AllDown(CodeLabError):  # noqa: N818
    """Every model that could answer is out of service; `retry_after` says when one may be back."""

    status = 503
    default_code = "unavailable"

    def __init__(self, message: str, *, retry_after: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
