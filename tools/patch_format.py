"""Reading a patch in either of its forms: a unified diff (git's extras included) or `*** Begin Patch`. Pure.

The same reading serves the policy, the preview and the change itself, so that none of them can be told another story.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .patch_begin import parse_begin
from .patch_model import FilePatch, UnreadablePatch
from .patch_unified import parse_unified

_FENCE = re.compile(r"\A\s*```[^\n]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_HEADS = ("--- ", "+++ ", "@@", "*** ")


def parse_patch(text: str) -> list[FilePatch]:
    """Read a patch; `UnreadablePatch` says what is wrong with it."""
    fenced = _FENCE.match(text)
    lines = _lines(fenced.group(1) if fenced else text)
    begins = next((at for at, line in enumerate(lines) if line.strip()), None)
    if begins is None:
        raise UnreadablePatch("the patch is empty: pass a unified diff or the *** Begin Patch form")
    begin_form = lines[begins].strip() == "*** Begin Patch"
    patches = parse_begin(lines, begins) if begin_form else parse_unified(lines)
    if not patches:
        raise UnreadablePatch("no file is named: start each with `--- a/path` and `+++ b/path`, or use *** Begin Patch")
    return patches


def paths_of(text: str) -> Sequence[str]:
    """Name every path of a patch, both ends of a move, each once."""
    return list(dict.fromkeys(path for patch in parse_patch(text) for path in patch.paths))


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    heads = [line for line in lines if line.startswith(_HEADS)]
    if heads and all(line.endswith("\r") for line in heads):
        return [line.removesuffix("\r") for line in lines]  # the patch itself travelled with CRLF
    return lines
