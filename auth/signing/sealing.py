"""Private keys at rest: sealed with keys that are not in the database."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ...core.errors import ConfigError
from ...core.settings import Settings

FILE: Final = "secret.key"
_MAKE_ONE: Final = "make one with `openssl rand -base64 32 | tr +/ -_`"


class Seal:
    """Seals private keys with the first secret key, and opens what any of them sealed.

    Args:
        keys: Fernet keys, newest first; `ConfigError` if there is none, or one is no such key.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ConfigError(f"CODELAB_AUTH__SECRET_KEYS is empty: {_MAKE_ONE}.")
        self._fernet = MultiFernet([_fernet(key, number) for number, key in enumerate(keys, 1)])

    def seal(self, jwk: Mapping[str, Any]) -> str:
        """Turn a private JWK into text for the database."""
        return self._fernet.encrypt(json.dumps(dict(jwk)).encode()).decode("ascii")

    def open(self, sealed: str) -> dict[str, Any]:
        """Turn that text back into the JWK; `ConfigError` if no key opens it."""
        try:
            opened = self._fernet.decrypt(sealed.encode())
        except InvalidToken:
            raise ConfigError(
                "The signing key in the database was sealed with a secret key that is not here: put that key behind "
                f"the newer ones in CODELAB_AUTH__SECRET_KEYS, or back into DATA_DIR/{FILE}. If it is lost, "
                "`codelab signing-keys rotate --now` begins anew, and everybody gets new tokens."
            ) from None
        jwk: dict[str, Any] = json.loads(opened)
        return jwk


def secret_keys(settings: Settings) -> list[str]:
    """Return the keys that seal: AUTH__SECRET_KEYS, else one that is made once in DATA_DIR for its owner only."""
    told = settings.auth.secret_keys
    return [key.get_secret_value() for key in told] if told else [_read_or_make(settings.data_dir)]


def _fernet(key: str, number: int) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:  # says nothing of the key, not even its length
        raise ConfigError(f"Secret key {number} is no Fernet key (32 bytes in URL-safe base64): {_MAKE_ONE}.") from None


def _read_or_make(data_dir: Path) -> str:
    path = data_dir / FILE
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _make(path)
    return path.read_text("ascii").strip()


def _make(path: Path) -> None:
    """Make the file at once with all that is in it: who starts at the same time reads one key or makes it."""
    draft = path.with_suffix(f".{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(Fernet.generate_key().decode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
