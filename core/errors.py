"""One tree of errors. Each carries a stable `code` and an HTTP status; one handler renders them.

CodeLabError
├── BadRequest 400            invalid_request (where the Agent Server API answers 400)
├── InvalidInput 422          bad_request, unknown_agent, unknown_tool, path_refused, invalid_decision, …
├── Unauthenticated 401       unauthenticated
├── Forbidden 403             forbidden
├── NotFound 404              not_found (also: not yours)
├── Conflict 409              approval_already_decided, approval_expired, thread_busy, run_finished, stale_file, …
├── Trimmed 410               trimmed (`first_seq`: the oldest record that is left)
├── TooLarge 413              too_large
├── RateLimited 429           rate_limited
├── ConfigError 500           bad_config (start-up only)
├── Unsupported 501           unsupported (the Agent Server API knows it, this server does not)
└── Unavailable 503           unavailable
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class CodeLabError(Exception):
    """Something went wrong that the caller can be told about.

    Args:
        message: One sentence that says what to do next.
        code: A stable machine-readable code; the class's own if left out.
        headers: What an HTTP answer says besides.
        extra: JSON members added to the rendered problem.
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal"

    def __init__(
        self, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})
        self.code = code or self.default_code
        self.extra = extra


class BadRequest(CodeLabError):  # noqa: N818
    """As `InvalidInput`, where clients of the Agent Server API expect 400."""

    status = 400
    default_code = "invalid_request"


class InvalidInput(CodeLabError):  # noqa: N818 - the tree's names read as facts
    """The request is well formed but says something impossible."""

    status = 422
    default_code = "bad_request"


class Unauthenticated(CodeLabError):  # noqa: N818
    """No credential, or one that is not valid."""

    status = 401
    default_code = "unauthenticated"


class Forbidden(CodeLabError):  # noqa: N818
    """The principal lacks a scope."""

    status = 403
    default_code = "forbidden"


class NotFound(CodeLabError):  # noqa: N818
    """There is no such thing, or it belongs to somebody else."""

    status = 404
    default_code = "not_found"


class Conflict(CodeLabError):  # noqa: N818
    """The thing is not in a state that allows this."""

    status = 409
    default_code = "conflict"


class Trimmed(CodeLabError):  # noqa: N818
    """The log was read from a point whose records are gone by now; `first_seq` is where it begins."""

    status = 410
    default_code = "trimmed"


class TooLarge(CodeLabError):  # noqa: N818
    """More than a limit allows."""

    status = 413
    default_code = "too_large"


class RateLimited(CodeLabError):  # noqa: N818
    """Too many requests."""

    status = 429
    default_code = "rate_limited"


class ConfigError(CodeLabError):
    """The settings do not allow a start."""

    default_code = "bad_config"


class Unsupported(CodeLabError):  # noqa: N818
    """A part of the Agent Server API that this server does not have."""

    status = 501
    default_code = "unsupported"


class Unavailable(CodeLabError):  # noqa: N818
    """Something this needs is down; try again."""

    status = 503
    default_code = "unavailable"
