"""The names of partitions by landing day."""

from datetime import date


def partition_of(day: date) -> str:
    """The partition of a landing day.

    >>> partition_of(date(2026, 4, 1))
    'landing_day=2026-04-01'
    """
    return f"landing_day={day}"


def day_of(partition: str) -> date:
    """The landing day of a partition."""
    return date.fromisoformat(partition.removeprefix("landing_day="))
