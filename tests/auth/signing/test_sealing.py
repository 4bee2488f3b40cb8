"""Private keys are sealed, with a key that was given or made, never with one that everybody has."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from codelab.auth.signing.sealing import Seal, secret_keys
from codelab.core.errors import ConfigError
from codelab.core.settings import Settings
from codelab.core.settings_auth import AuthSettings

JWK = {"kty": "RSA", "d": "private"}


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_what_is_sealed_can_be_opened_and_not_be_read() -> None:
    seal = Seal([new_key()])
    sealed = seal.seal(JWK)
    assert "private" not in sealed
    assert seal.open(sealed) == JWK


def test_an_old_key_still_opens_and_the_newest_seals() -> None:
    old, new = new_key(), new_key()
    sealed = Seal([old]).seal(JWK)
    both = Seal([new, old])
    assert both.open(sealed) == JWK
    assert Seal([new]).open(both.seal(JWK)) == JWK


def test_what_no_key_opens_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"AUTH__SECRET_KEYS.*rotate --now") as caught:
        Seal([new_key()]).open(Seal([new_key()]).seal(JWK))
    assert caught.value.__cause__ is None
    with pytest.raises(ConfigError):
        Seal([new_key()]).open("")


@pytest.mark.parametrize("bad", ["", "change-me", "A" * 43, "é" * 44, "A" * 44 + "\n\n"])
def test_a_bad_key_is_told_by_its_place_alone(bad: str) -> None:
    with pytest.raises(ConfigError, match="Secret key 2 ") as caught:
        Seal([new_key(), bad])
    assert not bad or bad not in str(caught.value)


def test_there_is_no_default() -> None:
    with pytest.raises(ConfigError, match="AUTH__SECRET_KEYS"):
        Seal([])


def test_keys_of_the_settings_come_first(tmp_path: Path) -> None:
    keys = [new_key(), new_key()]
    settings = Settings(data_dir=tmp_path / "data", auth=AuthSettings(secret_keys=[SecretStr(key) for key in keys]))
    assert secret_keys(settings) == keys
    assert not (tmp_path / "data").exists()


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    (made,) = secret_keys(settings)
    file = tmp_path / "data" / "secret.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text("ascii") == made
    assert secret_keys(settings) == [made]
    assert [path.name for path in file.parent.iterdir()] == ["secret.key"]
    assert secret_keys(Settings(data_dir=tmp_path / "other")) != [made]
    Seal([made])


def test_processes_that_start_together_agree_on_a_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: tuple(secret_keys(settings)), range(64)))
    assert len(set(found)) == 1
    assert len(list((tmp_path / "data").iterdir())) == 1


def test_a_file_that_was_emptied_is_no_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (tmp_path / "secret.key").write_text("")
    with pytest.raises(ConfigError):
        Seal(secret_keys(settings))
