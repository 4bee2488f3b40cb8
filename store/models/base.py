"""What every table shares: names of constraints, types, and whose row it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, MetaData, String, Table, inspect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.orm.attributes import instance_dict
from sqlalchemy.types import TypeDecorator

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""Assign a new value to change one: a change in place is not saved."""


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes only: bound in UTC, read aware (SQLite forgets the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a naive value; bind the rest in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The declarative base; its metadata is what the migrations are compared with."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own contract
        datetime: UtcDateTime(),
        dict[str, Any]: Json,
        list[Any]: Json,
    }

    def __init__(self, **values: Any) -> None:
        """Make a row that is new: there is nothing whose change SQLAlchemy would have to track.

        Raises:
            TypeError: There is no such column.
        """
        if unknown := values.keys() - inspect(type(self)).columns.keys():
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        instance_dict(self).update(values)


def table_of(kind: type[Base]) -> Table:
    """Give a model's table: prepared statements are written against it."""
    return cast("Table", kind.__table__)


class Owned:
    """Every row belongs to a user of a tenant; every query is bound to both."""

    owner_id: Mapped[str] = mapped_column(String)
    tenant_id: Mapped[str] = mapped_column(String)


def thread_key(*, primary_key: bool = False) -> Mapped[str]:
    """Make the column that ties a row to its thread and lets it go with it."""
    return mapped_column(ForeignKey("threads.id", ondelete="CASCADE"), primary_key=primary_key)
