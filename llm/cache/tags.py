"""Names of what an answer depends on; each belongs to one tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

TENANT: Final = "tenant"
MOST: Final = 16
LONGEST: Final = 200


def tags_of(tenant: str, model: str, named: Sequence[str]) -> tuple[str, ...]:
    """List a request's tags: its tenant, its model, and those it names (`prompt:…`, `repo:…@…`, `session:…`)."""
    always = (scoped(tenant, TENANT), scoped(tenant, f"model:{model}"))
    return (*always, *(scoped(tenant, tag) for tag in sorted(set(named)))) if named else always


def scoped(tenant: str, tag: str) -> str:
    """Give a tag as it is stored: nobody bumps another tenant's."""
    return f"{tenant}\n{tag}"
