"""What a request's headers say about who asks and how it is to be treated."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from ...core.errors import BadRequest
from ...core.types import Principal
from ...llm.chat import DIRECT, Caller, Controls

_MARKS: Final = (b"x-codelab-", b"x-replay-rate")
_NAME: Final = re.compile(r"[A-Za-z0-9._:@/+-]{1,128}")
_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_MOST_TAGS: Final = 16
_MONTH_S: Final = 30 * 86_400
_LONGEST_S: Final = 3_600
_FASTEST: Final = 100_000


def read_headers(headers: Mapping[bytes, bytes], principal: Principal, key_id: str = "") -> tuple[Caller, Controls]:
    """Read who asks and how to treat it.

    Raises:
        BadRequest: A header says something impossible; `extra["param"]` names it.
    """
    told: dict[str, Any] = {}
    wanted: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith(_MARKS):
            for known, into in ((_CALLER, told), (_CONTROLS, wanted)):
                if name in known:
                    field, read = known[name]
                    into[field] = _read(read, name, value)
    caller = Caller(user_id=principal.user_id, tenant_id=principal.tenant_id, key_id=key_id, **told)
    return caller, Controls(**wanted) if wanted else DIRECT


def _read(read: Callable[[str], Any], name: bytes, value: bytes) -> Any:
    try:
        return read(value.decode("latin-1").strip())
    except ValueError as exc:
        header = name.decode("latin-1")
        raise BadRequest(f"The header {header} must be {exc}.", code="invalid_header", param=header) from exc


def _one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return value

    return read


def _switch(value: str) -> bool:
    return _one_of("on", "off")(value) == "on"


def _number(most: float) -> Callable[[str], float]:
    def read(value: str) -> float:
        number = float(value) if _NUMBER.fullmatch(value) else 0.0
        if not (isfinite(number) and 0 < number <= most):
            raise ValueError(f"a number above 0 and at most {most:g}")
        return number

    return read


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("at most 128 letters, digits and . _ : @ / + -")
    return value


def _tags(value: str) -> tuple[str, ...]:
    tags = tuple(tag.strip() for tag in value.split(","))
    if len(tags) > _MOST_TAGS or not all(map(_NAME.fullmatch, tags)):
        raise ValueError(f"at most {_MOST_TAGS} names with commas between them")
    return tags


_CALLER: Final[Mapping[bytes, tuple[str, Callable[[str], Any]]]] = {
    b"x-codelab-thread": ("thread_id", _name),
    b"x-codelab-run": ("run_id", _name),
    b"x-codelab-agent": ("agent", _name),
    b"x-codelab-session": ("session", _name),
    b"x-codelab-priority": ("priority", _one_of("interactive", "batch")),
}
_CONTROLS: Final[Mapping[bytes, tuple[str, Callable[[str], Any]]]] = {
    b"x-codelab-cache": ("cache", _one_of("default", "on", "off", "refresh", "only")),
    b"x-codelab-cache-ttl": ("ttl_s", _number(_MONTH_S)),
    b"x-codelab-tags": ("tags", _tags),
    b"x-codelab-semantic": ("semantic", _switch),
    b"x-codelab-deadline": ("deadline_s", _number(_LONGEST_S)),
    b"x-codelab-fallback": ("fallback", _switch),
    b"x-replay-rate": ("replay_rate", _number(_FASTEST)),
}
