"""Taking secrets out of text before a model, a log or a person sees it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

MARK = "[redacted]"
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|_URL$|_DSN$|^DATABASE_URL$", re.IGNORECASE)
_SHORTEST = 8
# Shapes that are secrets wherever they stand; each is linear (no nested repetition).
_SHAPES = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAKIA[0-9A-Z]{16}\b|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{40,}"
)
# The lines of a key and nothing else: a pattern that took any text would hide code behind a marker from the reviewer.
_BREAK = r"(?:\\r|\\n|[\s+]){1,8}"
_KEY_BLOCK = re.compile(
    rf"-----BEGIN [A-Z ]{{0,30}}PRIVATE KEY-----(?:{_BREAK}[A-Za-z0-9+/=]{{40,80}}){{0,400}}"
    rf"(?:(?:{_BREAK}[A-Za-z0-9+/=]{{1,80}})?{_BREAK}-----END [A-Z ]{{0,30}}PRIVATE KEY-----)?"
)
_URL_PASSWORD = re.compile(r"""(\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,100}:)[^\s/@"'`;(){}<>]{1,200}(?=@)""")


def host_secrets(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Collect the values of the host's variables whose names look like secrets, longest first."""
    source = os.environ if environ is None else environ
    values = {v for name, v in source.items() if _SECRET_NAME.search(name) and len(v) >= _SHORTEST and _worth(name, v)}
    return tuple(sorted(values, key=len, reverse=True))


def _worth(name: str, value: str) -> bool:
    """A URL is secret only if it carries a password; paths and plain words under a secret-looking name stay."""
    if name.upper().endswith(("_URL", "_DSN")):
        return bool(_URL_PASSWORD.search(value))
    return not value.startswith("/")


def redact(text: str, secrets: Iterable[str] | None = None) -> str:
    """Replace the host's own secrets (or those given) and anything shaped like one by a mark."""
    for secret in host_secrets() if secrets is None else secrets:
        text = text.replace(secret, MARK)
    text = _KEY_BLOCK.sub(MARK, _SHAPES.sub(MARK, text))
    return _URL_PASSWORD.sub(rf"\1{MARK}", text)
