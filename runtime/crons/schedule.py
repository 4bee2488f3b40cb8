"""When a schedule is due next. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter  # type: ignore[import-untyped]

from ...core.errors import BadRequest, InvalidInput

LONGEST: Final = 200


def zone_of(name: str | None) -> tzinfo:
    """Find a time zone; UTC when none is named.

    Raises:
        InvalidInput: There is no such zone.
    """
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise InvalidInput(f"Invalid timezone: {name!r}. Use IANA timezone format (e.g. 'America/New_York').") from exc


def next_tick(schedule: str, timezone: str | None, after: datetime, until: datetime | None = None) -> datetime | None:
    """Tell when a schedule is due first after a time, in UTC; None when that is beyond `until`.

    A schedule speaks of the clock on the wall: an hour that does not exist is made up for at the next one that does.

    Raises:
        InvalidInput: The schedule or the zone is none.
        BadRequest: It is never due.
    """
    zone = zone_of(timezone)
    try:
        tick = croniter(schedule, after.astimezone(zone)).get_next(datetime).astimezone(UTC)
    except CroniterBadDateError as exc:
        raise BadRequest(f"The schedule {schedule!r} names no date to come") from exc
    except CroniterError as exc:
        raise InvalidInput(
            f"Invalid cron schedule: {schedule!r}. Use minute hour day_of_month month day_of_week, "
            "e.g. '*/5 * * * *' for every 5 minutes."
        ) from exc
    return None if until is not None and tick > until else tick
