"""What follows from roles and their parents. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ...core.permissions import ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleNode:
    """A role by itself.

    Attributes:
        permissions: Its own, as they are stored: a name that nobody knows any more grants nothing.
        parents: Keys of the roles whose permissions it has too.
    """

    permissions: frozenset[str]
    parents: frozenset[str] = frozenset()


def flatten(roles: Mapping[str, RoleNode], held: Iterable[str]) -> frozenset[str]:
    """All permissions of somebody who holds some roles: the roles' own, and those of every role above them.

    It ends on a cycle too; a role that is not there grants nothing.
    """
    found: set[str] = set()
    for key in reach(roles, held):
        found |= roles[key].permissions
    return frozenset(found & ALL)


def reach(roles: Mapping[str, RoleNode], held: Iterable[str]) -> frozenset[str]:
    """Some roles and every role above them."""
    pending, seen = list(held), set[str]()
    while pending:
        key = pending.pop()
        if key not in seen and key in roles:
            seen.add(key)
            pending += roles[key].parents
    return frozenset(seen)


def closes_cycle(roles: Mapping[str, RoleNode], key: str, parents: Collection[str]) -> bool:
    """Whether a role that got these parents would be above itself."""
    return key in parents or key in reach(roles, parents)
