"""A pytest plugin: one module of the suite knows port 2024 only; it is told where the server really is."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Point every module that names a server at the one that is tested."""
    for item in items:
        module = getattr(item, "module", None)
        if isinstance(getattr(module, "URL", None), str):
            module.URL = os.environ["LANGGRAPH_INTEGRATION_URL"]
