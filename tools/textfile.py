"""Text files as bytes say they are: encoding, byte-order mark and line ends survive an edit; a hash names a version."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass, replace

from ..core.errors import Conflict, InvalidInput

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SNIFF = 8_000
_HASH_DIGITS = 16
_FEWEST_DIGITS = 8


@dataclass(frozen=True, slots=True)
class TextFile:
    """A decoded file: its text with the line ends as they are, and what is needed to write it back."""

    text: str
    encoding: str = "utf-8"
    mark: bytes = b""

    @property
    def eol(self) -> str | None:
        """The one kind of line end it has; None when it has none or a mixture."""
        windows, all_ = self.text.count("\r\n"), self.text.count("\n")
        if all_ == 0 or windows not in (0, all_):
            return None
        return "\r\n" if windows else "\n"

    def with_text(self, text: str) -> TextFile:
        """Carry other text in the same clothes."""
        return replace(self, text=text)

    def encode(self) -> bytes:
        """Write it back; `InvalidInput` when a character does not exist in the file's encoding."""
        try:
            return self.mark + self.text.encode(self.encoding)
        except UnicodeEncodeError as exc:
            char = self.text[exc.start]
            raise InvalidInput(
                f"the file is {self.encoding}, which has no {char!r}: use other characters, or convert the file first"
            ) from exc


def decode(data: bytes, *, path: str) -> TextFile:
    """Decode a file by its mark, else as UTF-8, else byte for byte as Latin-1; a binary one is refused."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            body = data[len(mark) :]
            try:
                return TextFile(body.decode(encoding), encoding, mark)
            except UnicodeDecodeError:
                break
    if b"\0" in data[:_SNIFF]:
        raise InvalidInput(f"{path!r} is a binary file of {len(data)} bytes: it cannot be read or edited as text")
    try:
        return TextFile(data.decode("utf-8"))
    except UnicodeDecodeError:
        return TextFile(data.decode("latin-1"), "latin-1")


def adapt(text: str, like: TextFile) -> str:
    """Give a text the line ends of `like`; as it is where those are mixed."""
    if like.eol is None:
        return text
    return text.replace("\r\n", "\n").replace("\n", like.eol)


def short_hash(data: bytes) -> str:
    """Name a version of a file's bytes: `sha256:` and 16 hex digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()[:_HASH_DIGITS]}"


def check_hash(data: bytes | None, expected: str | None, *, path: str) -> None:
    """Refuse with `stale_file` when the file is not the version somebody read. A full or a short hash will do."""
    if not expected:
        return
    digits = expected.strip().lower().removeprefix("sha256:")
    if len(digits) < _FEWEST_DIGITS:
        raise InvalidInput(f"expected_hash {expected!r} is too short: copy it from read_file, or leave it out")
    if data is None:
        raise Conflict(f"{path!r} no longer exists: leave expected_hash out to create it", code="stale_file")
    if not hashlib.sha256(data).hexdigest().startswith(digits):
        raise Conflict(
            f"{path!r} changed since you read it (it is {short_hash(data)} now): read it again, then repeat the edit",
            code="stale_file",
        )
