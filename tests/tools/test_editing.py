"""The editing engine: what it finds, what it refuses, and that nothing else in the file moves."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.tools.editing import Edit, EditFailed, apply_edits, strip_numbers
from codelab.tools.textfile import TextFile, decode

CODE = """\
class A:
    def one(self):
        return 1

    def two(self):
        return 2
"""


def edited(text: str, *edits: Edit) -> str:
    return apply_edits(TextFile(text), edits).text


def failure(text: str, *edits: Edit) -> str:
    with pytest.raises(EditFailed) as caught:
        apply_edits(TextFile(text), edits)
    return caught.value.message


def test_exact_text_is_replaced_once():
    result = apply_edits(TextFile(CODE), [Edit("return 1", "return 10")])
    assert result.text == CODE.replace("return 1", "return 10")
    assert result.notes == ["replaced at line 3"]


def test_edits_apply_in_order():
    assert edited("a\nb\n", Edit("a", "c"), Edit("c\nb", "d")) == "d\n"


def test_replace_all():
    result = apply_edits(TextFile("x = x + x"), [Edit("x", "yy", replace_all=True)])
    assert result.text == "yy = yy + yy"
    assert result.notes == ["3 places replaced at lines 1, 1, 1"]


@pytest.mark.parametrize(("text", "old"), [("x\nx\n", "x"), ("aaa", "aa"), ("a \na\t\n", "a\n")])
def test_an_ambiguous_text_is_refused(text: str, old: str):
    message = failure(text, Edit(old, "y\n" if old.endswith("\n") else "y"))
    assert "found 2 times" in message
    assert "unique" in message
    assert "lines 1, " in message


@pytest.mark.parametrize(
    ("text", "old", "new", "expected"),
    [
        ("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\n", "x\r\ny\r\nc\r\n"),
        ("a\r\nb\nc\n", "a\nb\n", "x\n", "x\nc\n"),  # mixed line ends: only what was replaced changes
        ("say(“hi”)\n", 'say("hi")', 'say("ho")', 'say("ho")\n'),
        ("say('hi')\n", "say(‘hi’)", "say('ho')", "say('ho')\n"),
        ("a  \nb\t\nc", "a\nb\nc", "x", "x"),
        ("a\nb", "b\n", "c\n", "a\nc"),  # a last line without a line end
        ("if a:\n    b  \n", "if a:   \n    b", "if c:\n    b", "if c:\n    b  \n"),
    ],
)
def test_line_ends_quotes_and_trailing_blanks_are_folded(text: str, old: str, new: str, expected: str):
    assert edited(text, Edit(old, new)) == expected


@pytest.mark.parametrize("old", ["return foo ", "return foo\t", "return foo\n"])
def test_folding_never_matches_half_a_word(old: str):
    assert "not found" in failure("return foobar\n", Edit(old, "gone\n"))


def test_indentation_may_be_shifted_as_a_whole():
    old = "def one(self):\n    return 1\n"
    new = "def one(self):\n\n    return 11\n"
    assert edited(CODE, Edit(old, new)) == CODE.replace("        return 1\n\n", "\n        return 11\n\n", 1)
    deeper = "        def two(self):\n            return 2"
    assert edited(CODE, Edit(deeper, deeper.replace("2", "3"))) == CODE.replace("return 2", "return 3")
    assert edited(CODE, Edit("def one(self):\n    return 1\n", "")) == CODE.replace(
        "    def one(self):\n        return 1\n", ""
    )


def test_an_uneven_indentation_is_refused():
    message = failure(CODE, Edit("def one(self):\n  return 1\n", "pass\n"))
    assert "nearest block starts at line 2" in message
    assert "    2 |     def one(self):" in message
    assert "% similar" in message


def test_numbers_of_read_file_are_taken_off():
    assert strip_numbers("   12 | a\n   13 |\n   14 | b") == "a\n\nb"
    assert strip_numbers("12 | a\nb") is None
    old = "    2 |     def one(self):\n    3 |         return 1"
    assert edited(CODE, Edit(old, "    def one(self):\n        return 7")) == CODE.replace("return 1", "return 7")
    assert edited("3 | x\n", Edit("3 | x", "4 | x")) == "4 | x\n"  # the file may really say so


def test_failures_say_what_to_do():
    assert "identical" in failure(CODE, Edit("a", "a"))
    assert "empty" in failure(CODE, Edit("", "a"))
    assert "no edits" in failure(CODE)
    assert "already stands at line 6" in failure(CODE, Edit("return 3", "return 2\n"))
    assert "read the file again" in failure(CODE, Edit("zebra(quux)", "y"))
    assert "read the file again" in failure("", Edit("zebra(quux)", "y"))


def test_every_failing_edit_is_named_and_none_is_applied():
    message = failure(CODE, Edit("return 1", "return 9"), Edit("nope!", "x"), Edit("return", "y"))
    assert message.startswith("nothing was changed.")
    assert "edit 2 of 3: `old` was not found" in message
    assert "edit 3 of 3: `old` was found 2 times" in message
    assert "edit 1" not in message


def test_conflict_markers_are_plain_text():
    text = "<<<<<<< a\n1\n=======\n2\n>>>>>>> b\n"
    assert edited(text, Edit(text, "1\n")) == "1\n"


LINES = st.lists(st.text("ab “”\t{}", max_size=6), max_size=8)
EOL = st.sampled_from(["\n", "\r\n"])


@given(before=LINES, middle=LINES.filter(lambda lines: any(line.strip() for line in lines)), after=LINES, eol=EOL)
def test_unrelated_text_is_preserved(before: list[str], middle: list[str], after: list[str], eol: str):
    def join(lines: list[str]) -> str:
        return "".join(line + eol for line in lines)

    text = join(before) + "«" + join(middle) + "»" + join(after)
    new = "new\ntext"
    result = apply_edits(TextFile(text), [Edit("«" + "\n".join([*middle, ""]) + "»", new)])
    eols = {"\n", eol} if text.count("\n") == 0 else {eol}
    assert result.text in {join(before) + new.replace("\n", e) + join(after) for e in eols}


@given(text=st.text("ab \n\r“\t", max_size=30), edits=st.lists(st.builds(Edit, *[st.text("ab \n“", max_size=6)] * 2)))
def test_all_or_nothing(text: str, edits: list[Edit]):
    file = TextFile(text)
    with suppress(EditFailed):
        assert len(apply_edits(file, edits).notes) == len(edits)
    assert file.text == text


@given(text=st.text(max_size=40), kind=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]))
def test_decoding_gives_the_bytes_back(text: str, kind: str):
    data = text.encode(kind, "ignore")
    if b"\0" in data and kind != "utf-16":
        return
    assert decode(data, path="x").encode() == data
