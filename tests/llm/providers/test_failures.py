"""A provider's refusal, read."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.llm.errors import Overloaded, Refused, Rejected, ServerFailed, TimedOut, UpstreamError
from codelab.llm.providers.failures import failure, read_error, retry_after, told

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 600) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "param", "details"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "Thu, 01 Jan 1970 00:02:00 GMT"}, 20),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"Retry-After": "86400"}, 3600),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_when_to_come_back(headers, seconds):
    assert retry_after(headers, now=lambda: 100) == seconds


@given(st.text(max_size=40))
def test_whatever_stands_there(value):
    found = retry_after({"Retry-After": value}, now=lambda: 0)
    assert found is None or 0 <= found <= 3600


@given(st.integers(201, 599), JSON, st.binary(max_size=5))
def test_any_refusal_is_one_of_ours(status, body, garbage):
    for raw in (orjson.dumps(body), orjson.dumps({"error": body}), garbage):
        error = failure(status, {}, raw)
        assert isinstance(error, UpstreamError)
        assert error.message
        assert len(error.message) <= 500
        assert isinstance(error.code, str)


@given(JSON)
def test_any_error_within_an_answer_is_one_of_ours(error):
    assert isinstance(told(error), UpstreamError)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, ServerFailed),
        ({"type": "rate_limit_error", "message": "slow"}, Overloaded),
        ({"code": 429, "message": "slow"}, Overloaded),
        ({"status": "RESOURCE_EXHAUSTED", "message": "slow"}, Overloaded),
        ({"type": "invalid_request_error", "message": "bad"}, Rejected),
        ({"code": 400, "message": "bad"}, Rejected),
        ({"code": "502", "message": "bad gateway"}, ServerFailed),
        ({"type": "authentication_error", "message": "key"}, Refused),
        ({"message": "maximum context length is 5"}, Rejected),
        ("just words", ServerFailed),
    ],
)
def test_errors_within_an_answer(error, ours):
    assert type(told(error)) is ours


@pytest.mark.parametrize("status", [408, 504])
def test_time_outs_of_the_providers_own(status):
    assert isinstance(failure(status, {"Retry-After": "3"}, b""), TimedOut)
    assert failure(status, {"Retry-After": "3"}, b"").retry_after == 3


def test_an_address_without_an_api_is_ours_to_mend():
    assert isinstance(failure(404, {}, b"<h1>Not Found</h1>"), Refused)
    assert isinstance(failure(404, {}, b'{"error": {"message": "no such model", "code": "model_not_found"}}'), Rejected)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'[{"error": {"message": "within a list"}}]', "within a list"),
        (b'{"detail": "as FastAPI says it"}', "as FastAPI says it"),
        (b'{"message": "without an envelope"}', "without an envelope"),
        (b'{"error": "a word"}', "a word"),
        (b"nothing", ""),
        (b"7", ""),
    ],
)
def test_forms_of_errors(body, message):
    assert read_error(body)["message"] == message
