"""Which events a subscription lets through."""

from typing import Any

import pytest

from codelab.core.errors import BadRequest
from codelab.runtime.protocol.subscribing import subscription_of

SUB = "subnode:98109748-c869-ba31-a038-2781f4113738"


def event(method: str, *namespace: str, data: Any = None) -> dict[str, Any]:
    return {"method": method, "params": {"namespace": list(namespace), "data": data or {}}}


@pytest.mark.parametrize(
    ("asked", "told", "wanted"),
    [
        (["values"], event("values"), True),
        (["values"], event("updates"), False),
        (["input"], event("input.requested"), True),
        (["custom"], event("custom", data={"name": "w"}), True),
        (["custom:w"], event("custom", data={"name": "w"}), True),
        (["custom:z"], event("custom", data={"name": "w"}), False),
        (["custom:w"], event("custom", data="plain"), False),
        (["custom"], event("custom", data="plain"), True),
    ],
)
def test_channels(asked, told, wanted):
    assert subscription_of({"channels": asked}).wants(told) is wanted


@pytest.mark.parametrize(
    ("more", "namespace", "wanted"),
    [
        ({}, [SUB, "deep"], True),
        ({"namespaces": []}, [SUB], True),
        ({"depth": 0}, [SUB], True),  # a depth counts from a prefix; there is none
        ({"namespaces": [[]], "depth": 0}, [], True),
        ({"namespaces": [[]], "depth": 0}, [SUB], False),
        ({"namespaces": [[]], "depth": 1}, [SUB], True),
        ({"namespaces": [[]], "depth": 1}, [SUB, "deep"], False),
        ({"namespaces": [["subnode"]]}, [SUB], True),
        ({"namespaces": [["subnode"]]}, [], False),
        ({"namespaces": [[SUB]], "depth": 0}, [SUB], True),
        ({"namespaces": [["subnode:other"]]}, [SUB], False),
        ({"namespaces": [["nope"]]}, [SUB], False),
        ({"namespaces": [["nope"], ["subnode"]]}, [SUB, "deep"], True),
    ],
)
def test_namespaces(more, namespace, wanted):
    assert subscription_of({"channels": ["values"], **more}).wants(event("values", *namespace)) is wanted


@pytest.mark.parametrize(
    "asked",
    [
        None,
        [],
        {},
        {"channels": []},
        {"channels": "values"},
        {"channels": ["nope"]},
        {"channels": ["custom:"]},
        {"channels": [1]},
        {"channels": ["debug"]},
        {"channels": ["values"] * 257},
        {"channels": ["values"], "since": "1"},
        {"channels": ["values"], "since": -1},
        {"channels": ["values"], "since": True},
        {"channels": ["values"], "since": 2**63},
        {"channels": ["values"], "depth": 1.5},
        {"channels": ["values"], "namespaces": "x"},
        {"channels": ["values"], "namespaces": [["a", 1]]},
    ],
)
def test_what_is_no_subscription_is_refused(asked):
    with pytest.raises(BadRequest):
        subscription_of(asked)


def test_null_is_as_good_as_nothing():
    found = subscription_of({"channels": ["values"], "since": None, "depth": None, "namespaces": None})
    assert (found.since, found.depth, found.namespaces) == (None, None, ())
