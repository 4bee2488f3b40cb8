"""The Model Context Protocol: streamable HTTP, stateless, one JSON answer for each request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import from_json
from starlette.responses import JSONResponse

from ...core.errors import CodeLabError
from ...core.types import Principal
from ...runtime.mcp.tools import AssistantTools, Called
from ..version import version
from .answers import json_answer
from .deps import Agent, AssistantReader

VERSIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Newest first."""
PARSE_ERROR, INVALID_REQUEST, NOT_FOUND, INVALID_PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603
_CALLS: Final = "runs:write"
_MOST_DIGITS: Final = 9

router = APIRouter(tags=["mcp"])


class Problem(Exception):  # noqa: N818 - it reads as a fact
    """A message is answered with an error.

    Args:
        code: One of JSON-RPC's.
        message: A sentence.
        status: Of HTTP; 200 for what the protocol itself answers.
    """

    def __init__(self, code: int, message: str, *, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@router.post("/mcp")
async def post(request: Request, principal: AssistantReader, agent: Agent) -> Response:
    """Answer one message; notifications and answers of the client's are only taken note of."""
    number = None
    try:
        message = await _read(request)
        number = message.get("id")
        if not isinstance(number, str | int) or "method" not in message:
            return Response(status_code=202)
        result = await _answer(agent.tools, principal, message)
    except Problem as problem:
        return _refused(number, problem)
    except CodeLabError as exc:
        return _refused(number, Problem(INTERNAL, exc.message))
    return json_answer({"jsonrpc": "2.0", "id": number, "result": result})


async def _read(request: Request) -> dict[str, Any]:
    if not _takes_json(request.headers.get("accept", "*/*")):
        raise Problem(INVALID_REQUEST, "The Accept header must include application/json.", status=406)
    spoken = request.headers.get("mcp-protocol-version")
    if spoken is not None and spoken not in VERSIONS:
        known = ", ".join(VERSIONS)
        raise Problem(INVALID_REQUEST, f"MCP-Protocol-Version must be one of {known}.", status=400)
    try:
        message = from_json(await request.body())
    except ValueError:
        raise Problem(PARSE_ERROR, "The body is not valid JSON.", status=400) from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise Problem(INVALID_REQUEST, "Send one JSON-RPC 2.0 message.", status=400)
    return message


@router.get("/mcp", include_in_schema=False)
@router.delete("/mcp", include_in_schema=False)
async def no_session(_principal: AssistantReader) -> Response:
    """There is no stream to open and no session to end: every request stands alone."""
    return Response(status_code=405, headers={"allow": "POST"})


def _takes_json(accept: str) -> bool:
    kinds = {kind.partition(";")[0].strip() for kind in accept.split(",")}
    return bool(kinds & {"application/json", "application/*", "*/*"})


def _refused(number: Any, problem: Problem) -> JSONResponse:
    error = {"code": problem.code, "message": problem.message}
    return JSONResponse({"jsonrpc": "2.0", "id": number, "error": error}, status_code=problem.status)


async def _answer(tools: AssistantTools, principal: Principal, message: Mapping[str, Any]) -> dict[str, Any]:
    method, params = message["method"], message.get("params")
    params = params if isinstance(params, dict) else {}
    if method == "initialize":
        return _initialized(params)
    if method == "ping":
        return {}
    if method == "tools/list":
        return await _listed(tools, principal, params)
    if method == "tools/call":
        return await _called(tools, principal, params)
    raise Problem(NOT_FOUND, f"Method not found: {str(method)[:200]}")


def _initialized(params: Mapping[str, Any]) -> dict[str, Any]:
    asked = params.get("protocolVersion")
    return {
        "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "CodeLab", "version": version()},
    }


async def _listed(tools: AssistantTools, principal: Principal, params: Mapping[str, Any]) -> dict[str, Any]:
    cursor = params.get("cursor")
    if cursor is not None and not (isinstance(cursor, str) and cursor.isdecimal() and len(cursor) <= _MOST_DIGITS):
        raise Problem(INVALID_PARAMS, "The cursor is not one of this server's.")
    page, after = await tools.page(principal, int(cursor or 0))
    return {"tools": page, **({} if after is None else {"nextCursor": str(after)})}


async def _called(tools: AssistantTools, principal: Principal, params: Mapping[str, Any]) -> dict[str, Any]:
    name, arguments = params.get("name"), params.get("arguments")
    if arguments is not None and not isinstance(arguments, dict):
        raise Problem(INVALID_PARAMS, "The arguments must be an object.")
    if _CALLS not in principal.scopes:
        raise Problem(INVALID_REQUEST, f"This needs the permission {_CALLS}.")
    called = await tools.call(principal, name, arguments or {}) if isinstance(name, str) else None
    if called is None:
        raise Problem(INVALID_PARAMS, f"Unknown tool: {str(name)[:200]}")
    return _told(called)


def _told(called: Called) -> dict[str, Any]:
    told: dict[str, Any] = {"content": [{"type": "text", "text": called.text}]}
    if called.structured is not None:
        told["structuredContent"] = called.structured
    return {**told, "isError": True} if called.failed else told
