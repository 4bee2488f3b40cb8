"""Embeddings without a model: hashed pieces of words. Similar spelling is near, meaning is not known."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

from ..errors import Rejected
from ..usage import estimate_tokens

DIMENSIONS: Final = 256
_LARGEST: Final = 4_096
_GRAMS: Final = (3, 4)
_WORD: Final = re.compile(r"\w+")


def embedded(body: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Answer an embeddings request in OpenAI's form; `input` is text, texts, tokens, or lists of tokens."""
    inputs = _inputs(body.get("input"))
    size = body.get("dimensions") or DIMENSIONS
    if not isinstance(size, int) or not 1 <= size <= _LARGEST:
        raise Rejected(f"`dimensions` must be a number from 1 to {_LARGEST}.", param="dimensions")
    data = [
        {"object": "embedding", "index": index, "embedding": list(hashed(text, size))}
        for index, text in enumerate(inputs)
    ]
    tokens = estimate_tokens(*inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


@lru_cache(1024)
def hashed(text: str, size: int = DIMENSIONS) -> tuple[float, ...]:
    """Return a text's vector, of unit length: words and their pieces, counted in `size` hashed places."""
    places = [0.0] * size
    for piece in _pieces(text):
        code = crc32(piece.encode())
        places[code % size] += 1.0 if code & 0x80000000 else -1.0
    length = math.sqrt(sum(value * value for value in places))
    if not length:
        places[0] = length = 1.0
    return tuple(value / length for value in places)


def _pieces(text: str) -> Iterator[str]:
    for word in _WORD.findall(text.casefold()):
        yield word
        marked = f"<{word}>"
        for size in _GRAMS:
            yield from (marked[at : at + size] for at in range(len(marked) - size + 1))


def _inputs(given: Any) -> Sequence[str]:
    """Bring `input` into the form of texts; a list of tokens counts as one text that spells them."""
    one = isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], int))
    several = [given] if one else given
    if not isinstance(several, list) or not several:
        raise Rejected("`input` must be a text, a list of texts, or lists of tokens.", param="input")
    return [each if isinstance(each, str) else " ".join(map(str, each)) for each in several]
