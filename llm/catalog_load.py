"""The catalogue of this process: the built-in rows, the operator's over them, and what settings and keys enable."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from pydantic import SecretStr, ValidationError

from ..core.errors import ConfigError
from ..core.settings_llm import LLMSettings
from .catalog import Catalogue, Model, Provider
from .catalog_rows import ModelRow, ProviderRow, Rows
from .prices import Repricing

DEMO: Final = "demo"
_OPENAI: Final = "openai"
_OWN: Final = "default"
_ROLES: Final = ("strong", "fast", "embed")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Seven times as fast, where PyYAML was built with it."""


def load_catalogue(settings: LLMSettings, env: Mapping[str, str] | None = None) -> Catalogue:
    """Load the catalogue.

    Raises:
        ConfigError: The file of `settings.catalog` or the settings' own models are wrong; it says where and what to do.
    """
    rows = _rows(settings.catalog)
    models = list(_models(rows, settings, os.environ if env is None else env))
    known = {model.id for model in models}
    models = [replace(m, fallbacks=tuple(name for name in m.fallbacks if name in known)) for m in models]
    priced = {name for name, row in rows.models.items() if row and row.price}
    unpriced = [m.id for m in models if m.id not in priced and m.provider.kind not in {"offline", "langchain"}]
    aliases = {alias: name for alias, name in rows.aliases.items() if name in known}
    return Catalogue(models, aliases=aliases, reprice=Repricing(unpriced))


def _rows(overrides: Path | None) -> Rows:
    built_in = _read_yaml(files(__package__).joinpath("catalog.yaml").read_text("utf-8"))
    if overrides is None:
        return Rows.model_validate(built_in)
    path = overrides.expanduser()
    try:
        given = _read_yaml(path.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"CODELAB_LLM__CATALOG: {path} cannot be read: {getattr(exc, 'strerror', exc)}") from exc
    except yaml.YAMLError as exc:
        raise ConfigError(f"CODELAB_LLM__CATALOG: {path} is not YAML: {_where(exc)}") from exc
    if not isinstance(given, dict):
        raise ConfigError(f"{path}: write a mapping with `providers`, `models` and `aliases`.")
    try:
        rows = Rows.model_validate(_laid_over(built_in, given))
    except ValidationError as exc:
        raise ConfigError(f"{path}: {_told(exc)}") from exc
    if wrong := rows.wrong():
        raise ConfigError(f"{path}: {wrong}")
    return rows


def _read_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - one of the safe ones


def _laid_over(below: Any, above: Any) -> Any:
    """Merge mappings key by key; whatever else is above stands."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}


def _where(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"line {mark.line + 1}: {problem}" if mark and problem else " ".join(str(error).split())


def _told(error: ValidationError) -> str:
    lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5]]
    return "; ".join(lines)


def _models(rows: Rows, settings: LLMSettings, env: Mapping[str, str]) -> Iterator[Model]:
    """Give the rows that can be used, those of the settings first, the demo model last."""
    providers = _providers(rows, settings, env)
    found = [
        _model(name, row, providers[row.provider])
        for name, row in rows.models.items()
        if row is not None and row.provider in providers
    ]
    chosen = _chosen(rows, settings, providers, found)
    yield from chosen
    taken = {model.id for model in chosen}
    yield from (model for model in found if model.id not in taken)
    yield from _demo(alone=not (chosen or found))


def _providers(rows: Rows, settings: LLMSettings, env: Mapping[str, str]) -> dict[str, Provider]:
    """Open the providers that have a key, or need none, and the settings' own endpoint."""
    found = {}
    for name, row in rows.providers.items():
        key = _key(row, env)
        if name == _OPENAI and settings.api_key is not None and not settings.base_url:
            key = settings.api_key
        if row is not None and (key is not None or not row.key_names):
            found[name] = _provider(name, row, key, env)
    base_url = settings.base_url or env.get("OPENAI_BASE_URL")
    if base_url:
        key = settings.api_key or _secret(env.get("OPENAI_API_KEY"))
        row = ProviderRow(kind="openai", base_url=base_url, traits=_own_traits(rows, base_url))
        found[_OWN] = _provider(_OWN, row, key, env)
        if not settings.api_key:
            found.pop(_OPENAI, None)  # the key of the environment is for the endpoint of the environment
    return found


def _own_traits(rows: Rows, base_url: str) -> list[Any]:
    """A known host's API has the traits that the catalogue tells of it; of an unknown one little is expected."""
    host = urlsplit(base_url).hostname
    same = (row for row in rows.providers.values() if row is not None and urlsplit(row.base_url).hostname == host)
    return next((row.traits for row in same), ["reasoning_back"])


def _provider(name: str, row: ProviderRow, key: SecretStr | None, env: Mapping[str, str]) -> Provider:
    return Provider(
        name=name,
        kind=row.kind,
        base_url=row.base_url,
        key=key,
        key_header=row.key_header,
        headers={header: _expanded(name, value, env) for header, value in row.headers.items()},
        traits=frozenset(row.traits),
    )


def _key(row: ProviderRow | None, env: Mapping[str, str]) -> SecretStr | None:
    return next((SecretStr(env[name]) for name in (row.key_names if row else ()) if env.get(name)), None)


def _expanded(provider: str, value: str, env: Mapping[str, str]) -> str:
    if not value.startswith("$"):
        return value
    if value[1:] not in env:
        raise ConfigError(f"providers.{provider}.headers: set the environment variable {value[1:]}, or take it out.")
    return env[value[1:]]


def _secret(value: str | None) -> SecretStr | None:
    return SecretStr(value) if value else None


def _model(name: str, row: ModelRow, provider: Provider) -> Model:
    return Model(
        id=name,
        provider=provider,
        upstream=row.upstream or name,
        window=row.window,
        max_output=row.max_output,
        capabilities=frozenset(row.capabilities),
        roles=tuple(row.roles),
        skills=dict(row.skills),
        fallbacks=tuple(row.fallbacks),
        **({"price": row.price.price(name)} if row.price else {}),
    )


def _chosen(rows: Rows, settings: LLMSettings, providers: Mapping[str, Provider], found: list[Model]) -> list[Model]:
    """Give the rows of the models that the settings name; `strong` plays `fast` too if that is not named."""
    named = {role: name for role in _ROLES if (name := getattr(settings.models, role))}
    own = providers.get(_OWN) or providers.get(_OPENAI)
    if _OWN in providers and "strong" not in named:
        raise ConfigError(
            "A model endpoint is set but no model is named: set CODELAB_LLM__MODELS__STRONG "
            "(and, if you like, CODELAB_LLM__MODELS__FAST) to a model the endpoint serves."
        )
    if "strong" in named:
        named.setdefault("fast", named["strong"])
    known = {model.id: model for model in found}
    chosen = []
    for name in dict.fromkeys(named.values()):
        roles = tuple(role for role in _ROLES if named.get(role) == name)
        chosen.append(_playing(name if _OWN in providers else rows.aliases.get(name, name), roles, own, known, rows))
    return chosen


def _playing(name: str, roles: tuple[str, ...], own: Provider | None, known: Mapping[str, Model], rows: Rows) -> Model:
    """Make the row of one model that the settings name."""
    row = known.get(name)
    if row is not None and (own is None or own.name != _OWN):
        return replace(row, roles=roles)
    if own is None:
        raise ConfigError(
            f"CODELAB_LLM__MODELS__{roles[0].upper()} is {name!r}, which no provider with a key serves: set "
            "CODELAB_LLM__BASE_URL to the endpoint that does, or add the model to the file of CODELAB_LLM__CATALOG."
        )
    like = rows.models.get(name) or ModelRow(provider=own.name, capabilities=["tools", "json"])
    capabilities = ["embed"] if roles == ("embed",) else like.capabilities
    alike = like.model_copy(update={"capabilities": capabilities, "roles": list(roles), "upstream": name})
    return _model(name, alike, own)


def _demo(*, alone: bool) -> Iterator[Model]:
    """Give the demo model; it plays a role only where there is nothing else."""
    provider = Provider(name=DEMO, kind="offline")
    yield Model(
        id=DEMO,
        provider=provider,
        upstream="codelab-demo",
        window=1_000_000,
        roles=("strong", "fast") if alone else (),
    )
    yield Model(
        id="demo-embed",
        provider=provider,
        upstream="codelab-demo-embed",
        window=1_000_000,
        capabilities=frozenset({"embed"}),
        roles=("embed",) if alone else (),
    )
