"""Objects named `./file.py:name` or `package.module:name`, imported so that two configs do not meet."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from ...core.errors import ConfigError


class Modules:
    """The modules of one config.

    A file is imported below a package that exists in memory only and bears the config's name: two files of one name
    are two modules, and relative imports work. The name depends on the folder's name alone, where it can, so that
    state written by one process names types that another one knows.

    Args:
        config: The config file; paths are relative to its folder.
        folders: Where absolute imports are looked up first.
    """

    def __init__(self, config: Path, folders: Sequence[Path]) -> None:
        self._config = config
        self._folders = folders
        self._root = _root_name(config.parent)

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Look in this config's folders first, and let no module of another config stand in for one of these."""
        for folder in reversed(self._folders):
            if str(folder) in sys.path:
                sys.path.remove(str(folder))
            sys.path.insert(0, str(folder))
        aside = {name: sys.modules.pop(name) for name in self._foreign()}
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.modules.update(aside)

    def loaded(self) -> list[ModuleType]:
        """The project's own modules, as far as they were imported."""
        own = [
            module
            for module in list(sys.modules.values())
            if (file := getattr(module, "__file__", None)) is not None
            and _is_below(file, [self._config.parent.resolve(), *self._folders])
            and not _is_below(file, [Path(sys.prefix)])
        ]
        return [module for module in own if not module.__name__.startswith("codelab.")]

    def load(self, key: str, path: str) -> Any:
        """Import what a key of the config names.

        Raises:
            ConfigError: The path is malformed, there is no such file, module or name, or importing it failed.
        """
        place, colon, name = path.rpartition(":")
        if not colon or not place or not name:
            raise ConfigError(self._said(key, f"{path!r} names no object: write ./file.py:name or package.module:name"))
        try:
            module = self._module(key, place)
        except ConfigError:
            raise
        except Exception as exc:
            exc.add_note(self._said(key, f"importing {place} failed"))
            raise
        try:
            return getattr(module, name)
        except AttributeError:
            raise ConfigError(self._said(key, f"{place} has no {name!r}: define it, or name another")) from None

    def _module(self, key: str, place: str) -> ModuleType:
        if not (place.endswith(".py") or "/" in place):
            try:
                return importlib.import_module(place)
            except ModuleNotFoundError as exc:
                if exc.name is None or not f"{place}.".startswith(f"{exc.name}."):
                    raise
                raise ConfigError(
                    self._said(key, f"there is no module {place}: add its folder to `dependencies`, or install it")
                ) from exc
        file = (self._config.parent / place).resolve()
        if not file.is_file():
            raise ConfigError(self._said(key, f"there is no file {file}"))
        return importlib.import_module(self._name(file))

    def _name(self, file: Path) -> str:
        """Name a file's module: its package, as the `__init__.py` beside and above it say, below the root."""
        top = file.parent
        while (top / "__init__.py").is_file():
            top = top.parent
        base = self._config.parent.resolve()
        inside = top.is_relative_to(base)
        folder = base if inside else top
        root = self._root if inside else f"{self._root}_{_digest(top)}"
        _make_root(root, folder)
        return ".".join((root, *file.relative_to(folder).with_suffix("").parts))

    def _foreign(self) -> list[str]:
        """Modules of another project that go by a name these folders have; what is installed belongs to everybody."""
        return [
            name
            for name, module in sys.modules.items()
            if (file := getattr(module, "__file__", None)) is not None
            and not name.startswith("codelab")
            and self._has(name.partition(".")[0])
            and not _is_below(file, [*self._folders, Path(sys.prefix), Path(sys.base_prefix)])
        ]

    def _has(self, top: str) -> bool:
        return any((f / f"{top}.py").is_file() or (f / top / "__init__.py").is_file() for f in self._folders)

    def _said(self, key: str, what: str) -> str:
        return f"{self._config}: {key}: {what}."


def _is_below(file: str, folders: Sequence[Path]) -> bool:
    return any(Path(file).is_relative_to(folder) for folder in folders)


def _root_name(folder: Path) -> str:
    name = "served_" + (re.sub(r"\W+", "_", folder.resolve().name) or "root")
    taken = sys.modules.get(name)
    if taken is None or list(taken.__path__) == [str(folder.resolve())]:
        return name
    return f"{name}_{_digest(folder.resolve())}"


def _digest(folder: Path) -> str:
    return hashlib.sha256(str(folder).encode()).hexdigest()[:8]


def _make_root(name: str, folder: Path) -> None:
    if name in sys.modules:
        return
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[name] = module_from_spec(spec)
