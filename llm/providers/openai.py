"""Any endpoint that speaks OpenAI's dialect: its frames are handed on as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

import orjson

from ..catalog import Model, Provider
from ..chat import Body, CompletionRequest
from ..dialect import decode_chunks, decode_completion
from ..errors import Interrupted, ServerFailed
from ..events import Batch, Event, Extra, Used
from .conversation import dumped, translated
from .failures import read_error
from .http import Http, malformed
from .sse import frames
from .upstream import Upstream
from .vectors import check_vectors

_END: Final = b"\n\n"
_WHOLE: Final = b"}\n\n"
_DONE: Final = b"[DONE]"
_LAST: Final = b"\n\ndata: [DONE]\n\n"
_ERRORS: Final = b'"error":'
_NO_CHOICES: Final = (b'"choices":[]', b'"choices": []')
_FINISHED: Final = (b'"finish_reason":"', b'"finish_reason": "')
_THOUGHTS: Final = ("reasoning_content", "reasoning", "reasoning_signature", "reasoning_details")
_SEALS: Final = ("signature", "extra_content")
"""Fields of an assistant's message and of its calls that OpenAI itself does not know."""


class OpenAIAdapter:
    """Speaks to one endpoint."""

    def __init__(self, provider: Provider, http: Http) -> None:
        self._upstream = Upstream(provider, http, key_header=("Authorization", "Bearer "), headers={})

    async def answer(
        self, model: Model, request: CompletionRequest, *, timeout_s: float
    ) -> AsyncGenerator[Batch, None]:
        """Ask; the bytes of the answer are not read on the way."""
        body = dumped(translated(upstream_body, model, request))
        if not request.streamed:
            yield self._read(await self._upstream.whole("/chat/completions", body, timeout_s=timeout_s))
            return
        reading = await self._upstream.open("/chat/completions", body, timeout_s=timeout_s)
        passage = Passage(self._upstream, tells_usage=_asks_usage(request.body))
        try:
            while whole := await reading.next():
                for batch in passage.cut(whole):
                    yield batch
                if passage.done:
                    break
            passage.end()
            reading.finish()
        finally:
            reading.close()

    async def embed(self, model: Model, body: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Embed; the vectors are asked for as floats."""
        asked = dumped({**body, "model": model.upstream, "encoding_format": "float"})
        raw = await self._upstream.whole("/embeddings", asked, timeout_s=timeout_s)
        try:
            found = dict(orjson.loads(raw))
        except (ValueError, TypeError) as exc:
            raise malformed() from exc
        check_vectors(found, body["input"])
        return found

    async def close(self) -> None:
        """Nothing is kept here: the connections are the process's."""

    def _read(self, raw: bytes) -> Batch:
        try:
            events = decode_completion(raw)
        except ServerFailed:
            raise self._upstream.told(read_error(raw)) from None
        if all(isinstance(event, Extra | Used) for event in events):
            raise malformed()
        return Batch(events, raw=raw)


class Passage:
    """The frames of one stream on their way through: whole JSON, errors and the end are looked for, no more.

    Args:
        tells_usage: Whether the client asked for the chunk with the usage; else it gets only its events.

    Attributes:
        done: Whether the stream has said that it is over.
    """

    __slots__ = ("_before", "_last", "_tells_usage", "_upstream", "done")

    def __init__(self, upstream: Upstream, *, tells_usage: bool) -> None:
        self._upstream = upstream
        self._tells_usage = tells_usage
        self._before = self._last = b""
        self.done = False

    def cut(self, whole: bytes) -> Sequence[Batch]:
        """Make batches of some whole frames."""
        if whole.endswith(_LAST):
            self.done = True
            whole = whole[: 2 - len(_LAST)]
        elif whole == _LAST[2:]:
            self.done = True
            return ()
        if whole.count(_WHOLE) != whole.count(_END):
            whole = self._checked(whole)
            if not whole:
                return ()
        if _ERRORS in whole:
            self._raise_errors(whole)
        self._before, self._last = self._last, whole
        if not self._tells_usage and (_NO_CHOICES[0] in whole or _NO_CHOICES[1] in whole):
            return _without_usage(whole)
        return (Batch(raw=whole, decode=decode_chunks),)

    def end(self) -> None:
        """Take the end of the connection for the end of the stream, if a choice had ended; else it was cut.

        Raises:
            Interrupted: It was.
        """
        if not self.done and not any(mark in self._before or mark in self._last for mark in _FINISHED):
            raise Interrupted("The model's answer broke off.")

    def _checked(self, whole: bytes) -> bytes:
        """Look at frames that do not all end as JSON does: the mark of the end, a comment, or something broken."""
        kept = []
        for frame in whole.split(_END):
            data = [line[5:].strip() for line in frame.split(b"\n") if line.startswith(b"data:")]
            if data == [_DONE]:
                self.done = True
                break
            if any(data):
                _check(b"\n".join(data))
            if frame:
                kept.append(frame + _END)
        return b"".join(kept)

    def _raise_errors(self, whole: bytes) -> None:
        for _, data in frames(whole):
            if _ERRORS in data and (error := _check(data).get("error")):
                raise self._upstream.told(error)


def upstream_body(model: Model, request: CompletionRequest) -> Body:
    """Make the provider's request of the client's: a shallow copy with its model, and usage always asked for."""
    asked, provider = request.body, model.provider
    body = {**asked, "model": model.upstream}
    if asked.get("stream"):
        body["stream_options"] = {**(asked.get("stream_options") or {}), "include_usage": True}
    if "max_completion_tokens" in provider.traits and "max_tokens" in body:
        most = body.pop("max_tokens")
        body.setdefault("max_completion_tokens", most)
    if "prompt_cache_key" in provider.traits and "prompt_cache_key" not in asked:
        session = request.caller.session or request.caller.thread_id
        if session:
            whose = f"{request.caller.tenant_id}\0{session}".encode()
            body["prompt_cache_key"] = blake2b(whose, digest_size=16).hexdigest()
    if "reasoning_back" not in provider.traits:
        body["messages"] = _own_words(asked["messages"])
    return body


def _own_words(messages: list[Body]) -> list[Body]:
    """Leave out what other providers' models thought and sealed: OpenAI refuses fields that it does not know."""
    if not any(map(_has_others_words, messages)):
        return messages
    return [_plain(message) if _has_others_words(message) else message for message in messages]


def _has_others_words(message: Body) -> bool:
    if message.get("role") != "assistant":
        return False
    calls = message.get("tool_calls") or ()
    return any(field in message for field in _THOUGHTS) or any(field in call for field in _SEALS for call in calls)


def _plain(message: Body) -> Body:
    plain = {key: value for key, value in message.items() if key not in _THOUGHTS}
    if calls := plain.get("tool_calls"):
        plain["tool_calls"] = [{key: value for key, value in call.items() if key not in _SEALS} for call in calls]
    return plain


def _asks_usage(body: Body) -> bool:
    return bool((body.get("stream_options") or {}).get("include_usage"))


def _without_usage(whole: bytes) -> list[Batch]:
    """Set the chunk apart that tells nothing but the usage: this client did not ask for it."""
    batches: list[Batch] = []
    kept: list[bytes] = []
    for frame in whole.split(_END):
        if _NO_CHOICES[0] in frame or _NO_CHOICES[1] in frame:
            events: Sequence[Event] = decode_chunks(frame)
            if any(isinstance(event, Used) for event in events):
                batches.append(Batch(events))
                continue
        if frame:
            kept.append(frame + _END)
    return [Batch(raw=b"".join(kept), decode=decode_chunks), *batches] if kept else batches


def _check(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise malformed() from exc
    if not isinstance(found, dict):
        raise malformed()
    return found
