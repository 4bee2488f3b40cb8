"""Settings: environment `CODELAB_…` (`__` nests), or a file (`env_file`). `codelab config` prints this reference."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .settings_auth import AuthSettings
from .settings_llm import LLMSettings
from .types import ApprovalMode


def default_data_dir() -> Path:
    """Name the XDG data folder; state never lands in the current folder."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "codelab"


def env_file() -> Path:
    """Name the file of settings: CODELAB_ENV_FILE, else `.env` in the data folder.

    Never the current folder's: a repository that somebody sent could point the model's endpoint, and so the key,
    at a host of theirs.
    """
    named = os.environ.get("CODELAB_ENV_FILE")
    return (
        Path(named).expanduser() if named else Path(os.environ.get("CODELAB_DATA_DIR") or default_data_dir()) / ".env"
    )


class DatabaseSettings(BaseModel):
    """Where state is kept."""

    url: str | None = Field(None, description="postgresql://… or sqlite:///FILE; default: a SQLite file in DATA_DIR")


class RedisSettings(BaseModel):
    """Wake-ups and live tails across processes; losing it loses latency only."""

    url: str | None = Field(None, description="redis://…; wakes and tails across processes, with PostgreSQL")


class ServerSettings(BaseModel):
    """The HTTP server."""

    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str | None = None
    token: SecretStr | None = Field(None, description="Fixed bearer token for automation in local mode")
    cors_origins: list[str] = Field(
        default_factory=list,
        description='Pages of others that may call, as JSON: ["https://smith.langchain.com"] for LangGraph Studio',
    )
    trusted_proxies: list[str] = Field(
        default_factory=list, description='Addresses whose X-Forwarded-For is believed, as JSON: ["127.0.0.1"]'
    )


class AgentsSettings(BaseModel):
    """How agents are used, and how far one turn may go."""

    mode: Literal["multi", "single"] = "multi"
    max_hops: int = Field(4, ge=0, le=20, description="Hand-offs in one turn")
    max_model_calls: int = Field(60, ge=1, description="Model calls in one turn")
    max_tool_calls: int = Field(120, ge=1, description="Tool calls in one turn")
    recursion_limit: int = Field(400, ge=10, description="Graph steps in one run")
    context_tokens: int = Field(100_000, ge=1_000, description="Summarise the model's view beyond this")


class WorkspaceSettings(BaseModel):
    """Which folders agents may work in."""

    roots: list[Path] = Field(
        default_factory=list,
        description="Folders below which a workspace may be registered; {user} and {tenant} are whoever registers it",
    )


class ApprovalSettings(BaseModel):
    """How approvals behave."""

    mode: ApprovalMode = Field(ApprovalMode.ASK, description="Of turns whose client names none: ask, auto or deny")
    expiry: timedelta = timedelta(hours=24)


class RunSettingsGroup(BaseModel):
    """How runs are executed."""

    timeout_s: float = Field(1800, description="One run may take this long")
    heartbeat_s: float = Field(2, description="A running row is touched this often")
    lease_s: float = Field(10, description="A row untouched this long belongs to nobody")
    max_concurrent: int = Field(64, description="Runs executing at once in one process")
    max_attempts: int = Field(5, description="Deliveries of one run before it fails")
    command_timeout_s: float = Field(120, description="Default time for a command")


class EventSettings(BaseModel):
    """How long the event log of a thread is kept; its state is not touched."""

    retention: timedelta = Field(timedelta(days=7), description="Records of resting threads are kept this long")
    max_per_thread: int = Field(50_000, ge=1, description="A resting thread keeps no more; its newest run always whole")


class WebhookSettings(BaseModel):
    """Calls to a client's server when a run has ended; off until somebody turns them on."""

    enabled: bool = Field(default=False, description="Let runs name a `webhook`; needs SECRET")
    secret: SecretStr | None = Field(None, description="Signs every call (HMAC-SHA256, header x-codelab-signature)")
    allow_http: bool = Field(default=False, description="Call http:// too, where anybody on the way can read it")
    allow_private: bool = Field(default=False, description="Call loopback and private addresses too")
    ports: list[int] = Field(default=[80, 443, 8080, 8443], description="Ports that may be called; empty: any")
    timeout_s: float = Field(10, gt=0, description="One call may take this long")
    max_attempts: int = Field(6, ge=1, description="Calls of one delivery before it is given up")
    backoff_s: float = Field(5, gt=0, description="The pause after the first failure; it grows fourfold")
    max_bytes: int = Field(1_000_000, ge=10_000, description="A larger body goes without the run's values")
    keep_days: int = Field(7, ge=0, description="Finished deliveries are remembered this long")


class TracingSettings(BaseModel):
    """OpenTelemetry export."""

    endpoint: str | None = Field(None, description="OTLP over HTTP; reserved: not read yet")


class LogSettings(BaseModel):
    """Logs."""

    level: str = "INFO"
    format: Literal["auto", "json", "console"] = "auto"


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix="CODELAB_",
        env_nested_delimiter="__",
        extra="ignore",
    )

    def __init__(self, **values: Any) -> None:
        values.setdefault("_env_file", env_file())
        super().__init__(**values)

    data_dir: Path = Field(default_factory=default_data_dir)
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    agents: AgentsSettings = AgentsSettings()
    llm: LLMSettings = LLMSettings()
    workspaces: WorkspaceSettings = WorkspaceSettings()
    approvals: ApprovalSettings = ApprovalSettings()
    runs: RunSettingsGroup = RunSettingsGroup()
    events: EventSettings = EventSettings()
    webhooks: WebhookSettings = WebhookSettings()
    tracing: TracingSettings = TracingSettings()
    log: LogSettings = LogSettings()

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def unused(self) -> list[str]:
        """The settings that were set and that this version does not read: whoever starts it should know."""
        reserved = {
            "CODELAB_TRACING__ENDPOINT": self.tracing.endpoint,
            "CODELAB_SERVER__TOKEN": self.server.token if self.auth.mode != "local" else None,
        }
        return [name for name, value in reserved.items() if value]

    @property
    def database_url(self) -> str:
        """The URL in force: the one set, else a SQLite file in the data folder."""
        return self.database.url or f"sqlite:///{self.data_dir / 'codelab.db'}"
