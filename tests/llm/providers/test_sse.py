"""Frames out of bytes, wherever they are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.llm.errors import Malformed
from codelab.llm.providers import sse
from codelab.llm.providers.sse import Frames, frames

TEXT = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12)
STREAMS = st.lists(st.lists(TEXT, min_size=1, max_size=3), max_size=6)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(STREAMS, ENDS, st.lists(st.integers(0, 10_000), max_size=30))
def test_any_cut_gives_the_same_frames(stream, end, places):
    data = "".join("".join(f"data: {line}{end}" for line in lines) + end for lines in stream).encode()
    cutter = Frames()
    got = b"".join([cutter.feed(part) for part in cut(data, places)])
    assert [said for _, said in frames(got + cutter.rest())] == ["\n".join(lines).encode() for lines in stream]


@given(STREAMS, st.lists(st.integers(0, 10_000), max_size=30))
def test_what_is_given_ends_with_a_frame(stream, places):
    data = "".join("".join(f"data: {line}\n" for line in lines) + "\n" for lines in stream).encode()
    cutter = Frames()
    assert all(got == b"" or got.endswith(b"\n\n") for got in map(cutter.feed, cut(data, places)))


def test_what_has_no_end_is_given_at_last():
    cutter = Frames()
    assert cutter.feed(b"data: a\n\ndata: b") == b"data: a\n\n"
    assert (cutter.rest(), cutter.rest()) == (b"data: b\n\n", b"")


def test_a_frame_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(sse, "MAX_FRAME", 100)
    cutter = Frames()
    for _ in range(100):
        cutter.feed(b"x")
    with pytest.raises(Malformed):
        cutter.feed(b"x")


def test_a_drip_is_kept_in_few_pieces():
    cutter = Frames()
    for _ in range(5_000):
        cutter.feed(b"x")
    assert len(cutter._parts) <= sse._MANY + 1
    assert cutter.feed(b"\n\n") == b"x" * 5_000 + b"\n\n"


def test_names_and_fields():
    data = b"event: ping\n: comment\nid: 7\nretry: 1\ndata:x\ndata:  y\n\n: only this\n\nevent: empty\n\n"
    assert list(frames(data)) == [("ping", b"x\n y")]
