"""JSON as this wire answers it, whatever a graph put into its state: NaN is null, a lone surrogate is replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from ...store.texts import dump_json


def json_answer(body: Any, *, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with data that is plain already."""
    return Response(dump_json(body, escaped=False), media_type="application/json", headers=dict(headers or {}))


def page_headers(offset: int, shown: int, *, more: bool) -> dict[str, str]:
    """Say where a page ends: `x-pagination-total` is at least what is known, `x-pagination-next` is the next offset."""
    upto = offset + shown
    return {"x-pagination-total": str(upto + more)} | ({"x-pagination-next": str(upto)} if more else {})
