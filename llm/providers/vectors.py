"""What an embedding model answers, checked: whoever gets vectors may count on them."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from .http import malformed


def check_vectors(answer: Mapping[str, Any], given: Any) -> None:
    """See that an answer in OpenAI's form has a vector of numbers for each input, each with its place.

    Args:
        answer: The provider's.
        given: What was to be embedded, as OpenAI's `input`.

    Raises:
        Malformed: It has not.
    """
    count = 1 if isinstance(given, str) or isinstance(given[0], int) else len(given)
    try:
        places = sorted(one["index"] for one in answer["data"])
        sizes = {len(array("d", one["embedding"])) for one in answer["data"]}
    except (KeyError, TypeError, OverflowError) as exc:
        raise malformed() from exc
    if places != list(range(count)) or 0 in sizes:
        raise malformed()
