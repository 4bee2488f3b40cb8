"""A person in the shape that applications of this ecosystem expect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class User(Mapping[str, Any]):
    """A person as `langgraph_sdk`'s `BaseUser`: attributes and keys alike.

    Args:
        facts: `identity`, and whatever else is known of the person.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._facts = {"is_authenticated": True, "permissions": [], **facts}
        self._facts.setdefault("display_name", self._facts["identity"])

    @property
    def identity(self) -> str:
        """The person's id."""
        return str(self._facts["identity"])

    @property
    def display_name(self) -> str:
        """The person's name, for people."""
        return str(self._facts["display_name"])

    @property
    def is_authenticated(self) -> bool:
        """Whether somebody checked who this is."""
        return bool(self._facts["is_authenticated"])

    @property
    def permissions(self) -> list[str]:
        """What this person may do."""
        return list(self._facts["permissions"])

    def __getattr__(self, name: str) -> Any:
        """Whatever else is known of the person."""
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._facts[name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, key: str) -> Any:
        """The same, by key."""
        return self._facts[key]

    def __iter__(self) -> Iterator[str]:
        """The keys of what is known."""
        return iter(self._facts)

    def __len__(self) -> int:
        """How much is known."""
        return len(self._facts)
