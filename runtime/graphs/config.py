"""What a `langgraph.json` may say: read and checked, nothing imported yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import structlog
from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...core.errors import ConfigError

log = structlog.get_logger(__name__)

_WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    "ui": "components for generative interfaces are not served",
    "priority": "runs are executed in the order they arrive",
    "auth.cache": "`authenticate` is called for every request",
    "auth.openapi": "the description of the API names no security schemes",
    "http.logging_headers": "headers of requests are never logged",
    "http.middleware_order": "the app's middleware comes first, unless http.enable_custom_route_auth is set",
    "http.disable_a2a": "there is no A2A here",
    "http.disable_ui": "no components for generative interfaces are served",
    "store.index": "items are found by filter, not by meaning",
    "store.ttl": "items are kept for as long as each says itself",
    "checkpointer.ttl": "threads are kept for as long as each says itself",
    "checkpointer.serde.pickle_fallback": "nothing is unpickled",
    "checkpointer.serde.allowed_json_modules": "checkpoints hold no JSON of that kind",
    "webhooks.headers": "calls bear our signature and no other headers",
    "webhooks.env_prefix": "it is for webhooks.headers",
    "webhooks.url.max_url_length": "the length of an address is fixed",
}
"""Keys that are known and that change nothing here, and what happens instead."""


class Part(BaseModel):
    """A part of the file; names that nobody knows are kept, to be warned of."""

    model_config = ConfigDict(extra="allow", frozen=True)


class GraphEntry(Part):
    """Where a graph is."""

    path: str
    description: str | None = None


class Lifetime(Part):
    """How long things are kept, in minutes."""

    strategy: Literal["delete", "keep_latest"] = "delete"
    default_ttl: float | None = None
    refresh_on_read: bool = True
    sweep_interval_minutes: float | None = None
    sweep_limit: int | None = None


class SerdeEntry(Part):
    """Which types may come back from a checkpoint."""

    allowed_json_modules: list[list[str]] | bool | None = None
    allowed_msgpack_modules: list[list[str]] | bool | None = None
    pickle_fallback: bool = False


class CheckpointerEntry(Part):
    """Whose checkpointer."""

    path: str | None = None
    ttl: Lifetime | None = None
    serde: SerdeEntry | None = None


class StoreEntry(Part):
    """Whose long-term store."""

    path: str | None = None
    ttl: Lifetime | None = None
    index: dict[str, Any] | None = None


class AuthEntry(Part):
    """Who may come in."""

    path: str | None = None
    disable_studio_auth: bool = False
    openapi: dict[str, Any] | None = None
    cache: dict[str, Any] | None = None


class Cors(Part):
    """Which pages of others may call."""

    allow_origins: list[str] = Field(default_factory=list)
    allow_methods: list[str] = Field(default=["GET"])
    allow_headers: list[str] = Field(default_factory=list)
    allow_credentials: bool = False
    allow_origin_regex: str | None = None
    expose_headers: list[str] = Field(default_factory=list)
    max_age: int = 600


class HeaderNames(Part):
    """Names of headers, with `*`."""

    includes: list[str] | None = None
    excludes: list[str] | None = None


class HttpEntry(Part):
    """The server around the graphs."""

    app: str | None = None
    mount_prefix: str = ""
    cors: Cors | None = None
    enable_custom_route_auth: bool = False
    configurable_headers: HeaderNames | None = None
    logging_headers: HeaderNames | None = None
    middleware_order: str | None = None
    disable_assistants: bool = False
    disable_threads: bool = False
    disable_runs: bool = False
    disable_store: bool = False
    disable_mcp: bool = False
    disable_a2a: bool = False
    disable_meta: bool = False
    disable_ui: bool = False
    disable_webhooks: bool = False


class WebhookUrls(Part):
    """What a webhook may call."""

    require_https: bool = False
    allowed_domains: list[str] = Field(default_factory=list)
    allowed_ports: list[int] | None = None
    max_url_length: int | None = None
    disable_loopback: bool = True


class WebhooksEntry(Part):
    """Calls to others."""

    env_prefix: str = "LG_WEBHOOK_"
    url: WebhookUrls | None = None
    headers: dict[str, str] = Field(default_factory=dict)


class ConfigFile(Part):
    """A whole file."""

    graphs: dict[str, str | GraphEntry]
    dependencies: list[str] = Field(default_factory=list)
    env: dict[str, str] | str = Field(default_factory=dict)
    http: HttpEntry = HttpEntry()
    auth: AuthEntry = AuthEntry()
    checkpointer: CheckpointerEntry = CheckpointerEntry()
    store: StoreEntry = StoreEntry()
    webhooks: WebhooksEntry | None = None
    encryption: dict[str, Any] | None = None
    priority: dict[str, Any] | None = None
    ui: dict[str, Any] | None = None
    # Images are built from these; they say nothing about serving.
    schema_: str | None = Field(None, alias="$schema")
    source: dict[str, Any] | None = None
    python_version: str | None = None
    node_version: str | None = None
    api_version: str | None = None
    base_image: str | None = None
    image_distro: str | None = None
    pip_config_file: str | None = None
    pip_installer: str | None = None
    dockerfile_lines: list[str] | None = None
    keep_pkg_tools: bool | list[str] | None = None
    building: dict[str, Any] | None = None


def read_config(path: Path) -> ConfigFile:
    """Read the file; what is set and has no effect is said in the log.

    Raises:
        ConfigError: There is none, it is no JSON, a value is of the wrong kind, or it asks for something that must
            not be left out in silence.
    """
    try:
        given = json.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}. Name a langgraph.json with --config.") from exc
    except ValueError as exc:
        raise ConfigError(f"{path} is no JSON: {exc}. Correct it.") from exc
    try:
        file = ConfigFile.model_validate(given)
    except ValidationError as exc:
        raise ConfigError(f"{path}: {'; '.join(_problems(exc))}.") from exc
    _refuse(path, file)
    for key, why in _set_without_effect(file, given):
        log.warning("config_key_without_effect", file=str(path), key=key, why=why)
    for key in _unknown(file):
        log.warning("config_key_unknown", file=str(path), key=key, why="it has no effect; is it misspelt?")
    return file


def environment_of(path: Path, file: ConfigFile) -> dict[str, str]:
    """Return the variables that the file names itself or in another file.

    Raises:
        ConfigError: That other file is not there.
    """
    if isinstance(file.env, dict):
        return file.env
    named = path.parent / file.env
    if not named.is_file():
        raise ConfigError(f"{path}: env: there is no file {named}. Make it, or leave `env` out.")
    return {name: value for name, value in dotenv_values(named).items() if value is not None}


def _refuse(path: Path, file: ConfigFile) -> None:
    if not file.graphs:
        raise ConfigError(f'{path}: graphs: name one at least, as "id": "./file.py:variable".')
    if file.encryption is not None:
        raise ConfigError(f"{path}: encryption: state is not encrypted here. Leave it out, and encrypt the disk.")
    if file.webhooks and file.webhooks.url and file.webhooks.url.allowed_domains:
        raise ConfigError(
            f"{path}: webhooks.url.allowed_domains: hosts cannot be listed here. "
            "Leave it out; CODELAB_WEBHOOKS__… says what may be called."
        )


def _set_without_effect(file: ConfigFile, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    serde = file.checkpointer.serde
    if serde is not None and serde.allowed_msgpack_modules is True:
        yield "checkpointer.serde.allowed_msgpack_modules", "types of the state and the project come back; list others"
    for key, why in _WITHOUT_EFFECT.items():
        value: Any = given
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value not in (None, False, {}, []):
            yield key, why


def _unknown(part: Part, above: str = "") -> Iterator[str]:
    yield from (f"{above}{name}" for name in part.model_extra or {})
    for name in type(part).model_fields:
        value = getattr(part, name)
        for inner, below in value.items() if isinstance(value, dict) else [("", value)]:
            if isinstance(below, Part):
                yield from _unknown(below, f"{above}{name}.{inner}{'.' if inner else ''}")


def _problems(exc: ValidationError) -> Iterator[str]:
    for problem in exc.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        yield f"{where}: {problem['msg']}"
