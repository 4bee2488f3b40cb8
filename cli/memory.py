"""The garbage collector of a process that serves for a long time."""

from __future__ import annotations

import gc
from typing import Final

_YOUNG: Final = 10_000


def tune() -> None:
    """Leave what was loaded alone, and look through the rest more rarely: each token of a model is a dozen objects.

    Call it once everything is loaded.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG)
