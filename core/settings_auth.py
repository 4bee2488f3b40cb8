"""Settings of sign-in and of the authorization server."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

ACCESS_TOKEN_MOST_S = 600
"""An access token is checked where it is shown, so nothing but its age ends it everywhere."""


class MailSettings(BaseModel):
    """How mails leave; until a server is named they go to the log of the console, or into a folder."""

    host: str | None = Field(None, description="SMTP server; none: mails are printed, or written to FOLDER")
    port: int = Field(587, ge=1, le=65535)
    username: str | None = None
    password: SecretStr | None = None
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="none: to a server on this machine only"
    )
    sender: str = Field("CodeLab <codelab@localhost>", description="The From line")
    folder: Path | None = Field(None, description="Write each mail into a file here, where no SMTP server is named")
    timeout_s: float = Field(10, gt=0)


class LockoutSettings(BaseModel):
    """How many wrong passwords are too many; a try counts before it is checked."""

    attempts: int = Field(5, ge=1, le=100, description="Tries of one account from one address in WINDOW_S")
    attempts_per_account: int = Field(50, ge=1, description="Tries of one account from anywhere in WINDOW_S")
    attempts_per_address: int = Field(100, ge=1, description="Tries of any account from one address in WINDOW_S")
    window_s: int = Field(900, ge=1)


class AuthSettings(BaseModel):
    """Who may come in."""

    mode: Literal["local", "oauth", "anonymous"] = "local"
    issuer: str | None = Field(
        None, description="Who issues our access tokens, where that is another server: this one then checks them alone"
    )
    registration: Literal["off", "invite", "open"] = Field("off", description="Who may make an account")
    admin_email: str = Field("admin@localhost", description="Who the first administrator is, made at the first start")
    secret_keys: list[SecretStr] = Field(
        default_factory=list,
        description="Fernet keys as JSON, newest first; they seal signing keys. Default: one made in DATA_DIR",
    )
    access_token_s: int = Field(ACCESS_TOKEN_MOST_S, ge=30, le=ACCESS_TOKEN_MOST_S)
    refresh_idle_days: int = Field(14, ge=1, description="A refresh token that is not used this long is dead")
    refresh_days: int = Field(90, ge=1, description="After this long a client must ask the person again")
    refresh_leeway_s: int = Field(0, ge=0, le=30, description="A refresh token used again this soon gets an answer")
    session_idle_hours: int = Field(24 * 7, ge=1, description="A browser session that is not used this long is over")
    session_days: int = Field(30, ge=1, description="A browser session lasts no longer")
    sessions_per_user: int = Field(50, ge=1, description="The oldest gives way")
    code_s: int = Field(60, ge=10, le=60, description="An authorization code is good for this long")
    device_code_s: int = Field(600, ge=60, le=1800)
    password_grant: bool = Field(
        default=False, description="Let first-party clients that list it use grant_type=password"
    )
    registration_token: SecretStr | None = Field(
        None, description="Initial access token for dynamic client registration; none: /oauth/register is closed"
    )
    hash_threads: int = Field(2, ge=1, le=64, description="Passwords hashed at the same time")
    key_days: int = Field(90, ge=1, description="A signing key is replaced after this long")
    audit_days: int = Field(365, ge=1, description="Audit records are kept this long")
    mail: MailSettings = MailSettings()
    lockout: LockoutSettings = LockoutSettings()
