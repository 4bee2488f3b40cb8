"""A `langgraph.json` becomes graphs, and whatever else it names, ready to be served."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import structlog

from ...core.errors import ConfigError
from ...core.settings import Settings
from ...store.checkpoints_borrowed import NOTHING, Brought
from .config import CheckpointerEntry, ConfigFile, GraphEntry, environment_of, read_config
from .kinds import Kinds, kinds_in
from .modules import Modules
from .registry import GraphRegistry

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServedConfig:
    """What a config file asks to be served.

    Attributes:
        path: The file.
        file: What it says.
        graphs: Its graphs.
        auth: The `langgraph_sdk.Auth` it names.
        app: The ASGI app it names.
        brought: Factories of a saver and of a store, in place of ours.
    """

    path: Path
    file: ConfigFile
    graphs: GraphRegistry
    auth: Any = None
    app: Any = None
    brought: Brought = NOTHING


def load_config(path: Path) -> ServedConfig:
    """Read a config and import what it names; its environment and its import paths hold for the process from now on.

    What the environment has already wins over `env` of the file.

    Raises:
        ConfigError: Something in it is wrong; the sentence names the file, the key, and what to do.
    """
    path = path.expanduser().absolute()
    file = read_config(path)
    for name, value in environment_of(path, file).items():
        os.environ.setdefault(name, value)
    modules = Modules(path, list(_folders(path, file.dependencies)))
    with modules.importing():
        graphs = {name: _entry(entry) for name, entry in file.graphs.items()}
        loaded = {name: modules.load(f"graphs.{name}", entry.path) for name, entry in graphs.items()}
        auth, saver, store = (
            modules.load(f"{key}.path", part.path) if part.path else None
            for key, part in (("auth", file.auth), ("checkpointer", file.checkpointer), ("store", file.store))
        )
        app = modules.load("http.app", file.http.app) if file.http.app else None
        kinds = kinds_in(modules.loaded()) | _listed(file.checkpointer)
    described = {name: entry.description for name, entry in graphs.items() if entry.description}
    return ServedConfig(
        path=path,
        file=file,
        graphs=GraphRegistry(loaded, descriptions=described, kinds=kinds),
        auth=auth,
        app=app,
        brought=Brought(checkpointer=saver, store=store),
    )


def settings_for(served: ServedConfig, settings: Settings) -> Settings:
    """Apply what a config says of things that settings rule."""
    hooks: dict[str, Any] = {}
    url = served.file.webhooks.url if served.file.webhooks else None
    if url is not None:
        hooks["allow_private"] = not url.disable_loopback
        if url.require_https:
            hooks["allow_http"] = False
        if url.allowed_ports is not None:
            hooks["ports"] = url.allowed_ports
    if served.file.http.disable_webhooks:
        hooks["enabled"] = False
    return settings.model_copy(update={"webhooks": settings.webhooks.model_copy(update=hooks)})


def _listed(saver: CheckpointerEntry) -> Kinds:
    named = saver.serde.allowed_msgpack_modules if saver.serde is not None else None
    return frozenset(tuple(each) for each in named) if isinstance(named, list) else frozenset()


def _entry(entry: str | GraphEntry) -> GraphEntry:
    return GraphEntry(path=entry) if isinstance(entry, str) else entry


def _folders(config: Path, dependencies: list[str]) -> Iterator[Path]:
    for dependency in dependencies:
        if not dependency.startswith("."):
            _look_for(config, dependency)
            continue
        folder = (config.parent / dependency).resolve()
        if not folder.is_dir():
            raise ConfigError(f"{config}: dependencies: there is no folder {folder}.")
        yield folder
        if (folder / "__init__.py").is_file():  # the folder is a package: its own name can be imported too
            yield folder.parent


def _look_for(config: Path, requirement: str) -> None:
    """Warn of a package that is not installed: nothing is installed here."""
    name = re.split(r"[\s\[<>=!~;@]", requirement, maxsplit=1)[0]
    try:
        distribution(name)
    except PackageNotFoundError:
        log.warning("config_dependency_missing", file=str(config), package=requirement, why="install it with pip")
