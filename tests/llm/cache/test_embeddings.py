"""A text is embedded once."""

from __future__ import annotations

import pytest

from codelab.llm.cache.embeddings import EmbeddingCache, Space
from codelab.llm.errors import Malformed
from tests.llm.cache.support import memory

SPACE = Space("t", "p/e")


class Model:
    def __init__(self):
        self.asked = []

    async def __call__(self, texts):
        self.asked.append(list(texts))
        return [[float(len(text)), 0.1, 1 / 3] for text in texts]


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def vectors():
    return EmbeddingCache(memory(), ttl_s=1000)


async def test_only_what_is_missing_is_asked_for_once_and_in_order(vectors, model):
    first = await vectors.embed(["a", "bb", "a"], model, space=SPACE)
    assert [v[0] for v in first] == [1.0, 2.0, 1.0]
    second = await vectors.embed(["ccc", "bb", "a", "ccc"], model, space=SPACE)
    assert [v[0] for v in second] == [3.0, 2.0, 1.0, 3.0]
    assert model.asked == [["a", "bb"], ["ccc"]]
    await vectors.embed(["a", "bb", "ccc"], model, space=SPACE)
    assert len(model.asked) == 2


@pytest.mark.parametrize("space", [Space("other", "p/e"), Space("t", "p/f"), Space("t", "p/e", 2)], ids=repr)
async def test_tenants_models_and_dimensions_are_apart(vectors, model, space):
    await vectors.embed(["a"], model, space=SPACE)
    await vectors.embed(["a"], model, space=space)
    assert len(model.asked) == 2


async def test_tokens_are_not_the_text_that_reads_like_them(vectors, model):
    await vectors.embed([[1, 2]], model, space=SPACE)
    await vectors.embed(["[1,2]"], model, space=SPACE)
    await vectors.embed([[1, 2]], model, space=SPACE)
    assert model.asked == [[[1, 2]], ["[1,2]"]]


async def test_the_numbers_come_back_as_they_were(vectors, model):
    exact = [0.1, -1e300, 0.5, 0.0]

    async def ask(_texts):
        return [exact]

    first = await vectors.embed(["a"], ask, space=SPACE)
    assert first == await vectors.embed(["a"], model, space=SPACE) == [exact]


async def test_a_model_that_gives_too_few_vectors_is_not_believed(vectors, model):
    async def ask(_texts):
        return [[1.0]]

    with pytest.raises(Malformed):
        await vectors.embed(["a", "b"], ask, space=SPACE)
    assert await vectors.embed(["a"], model, space=SPACE)
    assert model.asked == [["a"]]


async def test_nothing_is_asked_for_nothing(vectors, model):
    assert await vectors.embed([], model, space=SPACE) == []
    assert model.asked == []
