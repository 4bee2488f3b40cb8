"""The endpoint on a port: one for the tests of a file, with a new key and a gateway that forgot everything for each."""

from collections.abc import AsyncIterator

import pytest_asyncio

from codelab.auth.api_keys.schemas import KeyOptions
from codelab.auth.local import LOCAL
from tests.llm.endpoint.doubles import Endpoint, endpoint


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _listening() -> AsyncIterator[Endpoint]:
    async with endpoint() as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def served(_listening: Endpoint) -> Endpoint:
    _listening.gateway.forget()
    _listening.http.cookies.clear()
    _listening.key = await _listening.keys.create(LOCAL, KeyOptions(name="test"))
    return _listening
