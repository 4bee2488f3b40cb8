"""Asks everything that our OpenAPI describes, with generated requests; a program of schemathesis' own environment.

It reads JSON from its input: `url`, `schema`, `tokens` (name to bearer token, in the order they ask; empty: none),
`ids` (what belongs to the first administrator), `owner` (whose they are), `public` (prefixes), `seconds`.
It prints what should not be, and how much was asked.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import hypothesis
import requests
import schemathesis

TOLD = json.load(sys.stdin)
UNTIL = time.monotonic() + TOLD["seconds"]
EXAMPLES = {"nobody": 2, "stranger": 6, "owner": 4}
MOST_BYTES, MOST_S = 65536, 2.0
NOT_OURS_TO_ANSWER = {400, 401, 413, 422}
"""What the layers before the credential refuse: an address or a body that nothing could be done with."""


def generated(operation: Any, count: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []

    @hypothesis.settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(operation.as_strategy())
    def collect(case: Any) -> None:
        made.append(case.as_transport_kwargs(base_url=TOLD["url"]))

    collect()
    return made[:count]


def requests_of(operation: Any, name: str) -> Iterator[dict[str, Any]]:
    """Generated ones; and for who is not the owner, each of the owner's ids in each place of the address."""
    made = generated(operation, EXAMPLES[name])
    yield from made
    if name == "stranger" and "{" in operation.path and made:
        for found in TOLD["ids"]:
            path = "/".join(found if part.startswith("{") else part for part in operation.path.split("/"))
            yield {**made[0], "url": TOLD["url"] + path}


STATUSES: Counter[str] = Counter()


def asked(name: str, sent: dict[str, Any]) -> tuple[int, str]:
    status, body = answered(name, sent)
    STATUSES[f"{name} {status // 100}"] += 1
    return status, body


def answered(name: str, sent: dict[str, Any]) -> tuple[int, str]:
    headers = {k: v for k, v in sent.get("headers", {}).items() if k.lower() not in {"authorization", "cookie"}}
    if TOLD["tokens"][name]:
        headers["authorization"] = f"Bearer {TOLD['tokens'][name]}"
    body = b""
    try:
        with requests.request(
            **{**sent, "headers": headers, "cookies": {}}, stream=True, timeout=5, allow_redirects=False
        ) as answer:
            ends = time.monotonic() + MOST_S
            for chunk in answer.iter_content(4096):
                body += chunk
                if len(body) > MOST_BYTES or time.monotonic() > ends:
                    break
            return answer.status_code, body.decode(errors="replace")
    except (requests.exceptions.Timeout, requests.exceptions.ConnectionError):  # a stream that waits, or is cut off
        return 0, body.decode(errors="replace")
    except (requests.exceptions.InvalidHeader, UnicodeEncodeError, ValueError):  # nothing that HTTP can carry
        return -1, ""


def faults(name: str, operation: Any, sent: dict[str, Any]) -> Iterator[str]:
    status, body = asked(name, sent)
    what = f"{name} {operation.method.upper()} {operation.path}: {status}"
    if status >= 500 and status != 501:  # 501: clients know of it, this server does not offer it
        yield f"{what} {body[:300]} for {str(sent)[:600]}"
    public = operation.path.startswith(tuple(TOLD["public"]))
    if name == "nobody" and not public and status > 0 and status not in NOT_OURS_TO_ANSWER:
        yield f"{what} without a credential"
    said = str(sent)
    foreign = [found for found in TOLD["ids"] if found in body and found not in said]
    if name != "owner" and foreign:
        yield f"{what} tells of {foreign}"
    if name == "stranger" and 200 <= status < 300 and operation.method == "get" and any(i in said for i in TOLD["ids"]):
        yield f"{what} opens what is another's: {sent['url']}"


def main() -> None:
    schema = schemathesis.openapi.from_dict(TOLD["schema"])
    operations = [found.ok() for found in schema.get_all_operations()]
    count: dict[str, int] = dict.fromkeys(TOLD["tokens"], 0)
    wrong: list[str] = []
    with ThreadPoolExecutor(6) as pool:
        for name in TOLD["tokens"]:
            waiting = []
            for operation in operations:
                if time.monotonic() > UNTIL:
                    break
                count[name] += 1
                sent = list(requests_of(operation, name))
                waiting += [pool.submit(lambda *what: list(faults(*what)), name, operation, each) for each in sent]
            for each in waiting:
                wrong += each.result()
    print(json.dumps({"operations": len(operations), "asked": count, "statuses": STATUSES, "wrong": wrong}))  # noqa: T201


main()
