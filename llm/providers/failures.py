"""A provider's refusal read: its status, headers and body as one error of `llm.errors`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from ..errors import Overloaded, Refused, Rejected, ServerFailed, TimedOut, UpstreamError

LONGEST: Final = 500
_LONGEST_WAIT_S: Final = 3600.0
_AUTH: Final = frozenset({401, 402, 403})
_BAD: Final = frozenset({400, 404, 405, 406, 411, 413, 414, 415, 416, 422, 431, 451})
_NO_MONEY: Final = frozenset({"insufficient_quota", "billing_error", "billing_hard_limit_reached"})
_TOO_LONG: Final = ("context length", "context window", "prompt is too long", "input token count", "maximum context")
_FILTERED: Final = ("content_filter", "content_policy_violation", "responsibleaipolicyviolation")


def failure(
    status: int, headers: Mapping[str, str], body: bytes, now: Callable[[], float] = time.time
) -> UpstreamError:
    """Make the error for an answer that is not 200."""
    said = read_error(body)
    wait = retry_after(headers, now) or said.get("retry_after")
    if status in {408, 504}:
        return TimedOut("The model's provider timed out.", retry_after=wait)
    if status == 429:  # noqa: PLR2004 - too many requests
        if said.get("code") in _NO_MONEY or said.get("type") in _NO_MONEY:
            return Refused("The model's provider says that our account has no credit.", code="insufficient_quota")
        return Overloaded(said["message"] or "The model's provider asks to slow down.", retry_after=wait)
    if status in _AUTH or 300 <= status < 400 or "api key not valid" in said["message"].lower():  # noqa: PLR2004 - elsewhere
        return Refused(f"The model's provider refuses our credential or address ({status}).")
    if status in _BAD:
        return rejected(status, said)
    return ServerFailed(f"The model's provider failed ({status}).", retry_after=wait)


def told(error: Any) -> UpstreamError:
    """Make the error for one that came within an answer that had begun well (`{"error": {…}}` in a stream)."""
    said = _read(error)
    kind = {str(said.get("type")), str(said.get("code"))}
    status = next((int(one) for one in kind if one.isdigit()), 0)
    if status == 429 or any("rate_limit" in one or "RESOURCE_EXHAUSTED" in one for one in kind):  # noqa: PLR2004
        return Overloaded(said["message"] or "The model's provider asks to slow down.")
    if status in _AUTH or kind & {"authentication_error", "permission_error", "billing_error"}:
        return Refused("The model's provider refuses our credential.")
    if status in _BAD or "invalid_request_error" in kind or too_long(said["message"]) or filtered(said):
        return rejected(status or 400, said)
    return ServerFailed(said["message"] or "The model's provider failed.")


def rejected(status: int, said: Mapping[str, Any]) -> UpstreamError:
    """Make the error for a request that is at fault; without a reason in JSON it is the address that is."""
    if not said["message"]:
        return Refused(f"There is no such model API at the provider's address ({status}).")
    code = str(said.get("code") or said.get("type") or "")
    if too_long(said["message"]) or code == "context_length_exceeded":
        code = "context_length_exceeded"
    elif filtered(said):
        code = "content_filter"
    elif code.isdigit():
        code = "invalid_request"
    param = said.get("param")
    return Rejected(said["message"], status=status, code=code or None, param=str(param) if param else None)


def too_long(message: str) -> bool:
    """Whether the provider says that the prompt does not fit its model."""
    low = message.lower()
    return any(words in low for words in _TOO_LONG)


def filtered(said: Mapping[str, Any]) -> bool:
    """Whether a content filter refused."""
    words = f"{said.get('code')} {said.get('type')} {said.get('inner')}".lower()
    return any(word in words for word in _FILTERED)


def read_error(body: bytes) -> dict[str, Any]:
    """Read an error's body: `message` (cut), `type`, `code`, `param`; `message` is empty where there is no JSON."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {"message": ""}
    if isinstance(data, list) and data:  # Gemini's streams wrap their errors
        data = data[0]
    return _read(data.get("error") or data.get("detail") or data) if isinstance(data, dict) else {"message": ""}


def _read(error: Any) -> dict[str, Any]:
    if not isinstance(error, dict):
        return {"message": str(error)[:LONGEST]}
    found = {name: error.get(name) for name in ("type", "code", "param")}
    found["type"] = found["type"] or error.get("status")
    found["message"] = str(error.get("message") or error.get("msg") or "")[:LONGEST]
    inner = error.get("innererror")
    found["inner"] = inner.get("code") if isinstance(inner, dict) else None
    found["retry_after"] = _retry_info(error.get("details"))
    return found


def _retry_info(details: Any) -> float | None:
    """Read Google's `RetryInfo`: `{"retryDelay": "34s"}`."""
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return _seconds(delay[:-1])
    return None


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Read how many seconds to wait: `retry-after-ms`, `Retry-After` in seconds or as a date; an hour at most."""
    if (exact := _seconds(headers.get("retry-after-ms"))) is not None:
        return exact / 1000
    value = headers.get("Retry-After") or headers.get("retry-after")
    if value is None or (seconds := _seconds(value)) is not None:
        return seconds if value is not None else None
    try:
        return min(max(0.0, parsedate_to_datetime(value).timestamp() - now()), _LONGEST_WAIT_S)
    except (TypeError, ValueError, OverflowError):
        return None


def _seconds(value: str | None) -> float | None:
    try:
        number = float(value or "x")
    except ValueError:
        return None
    return min(max(0.0, number), _LONGEST_WAIT_S) if number == number else None  # noqa: PLR0124 - NaN
