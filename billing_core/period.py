"""Periods of days, boundaries counted from an anchor, and local midnights.

A period is dates in the customer's billing time zone; a window is the month of usage
and knows its instants too. Zone data comes in as a `tzinfo` value, never from the machine.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from fractions import Fraction

from billing_core.errors import EmptyPeriod

MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}
"""Months that one plan price pays for, by interval. Rule CNV-3."""


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Days from `start` up to, and not including, `end`. Rule CNV-2.

    >>> Period(date(2026, 2, 28), date(2026, 3, 31)).days
    31
    """

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise EmptyPeriod(self.start, self.end)

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    def remaining(self, on: date) -> int:
        """Days left from `on`, the day of a change included, from 0 to all. Rule CNV-2.

        >>> Period(date(2026, 4, 1), date(2026, 5, 1)).remaining(date(2026, 4, 16))
        15
        """
        return min(max((self.end - on).days, 0), self.days)

    def remaining_share(self, on: date) -> Fraction:
        """The unused part of the period on a day: remaining days over all. Rule CNV-6."""
        return Fraction(self.remaining(on), self.days)


@dataclass(frozen=True, slots=True)
class Span:
    """Instants from `start_at` up to, and not including, `end_at`; None: it goes on. UTC."""

    start_at: datetime
    end_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A month of usage, counted from the anchor: its dates and its instants (UTC).

    The first one starts at the instant of the action that opened it, every other at
    local midnight (CNV-9); an event belongs to it when start_at <= instant < end_at.
    """

    start: date
    end: date
    start_at: datetime
    end_at: datetime

    @property
    def period(self) -> Period:
        return Period(self.start, self.end)


def boundary(anchor: date, months: int) -> date:
    """The day on which a window starts, `months` after the anchor.

    Counted from the anchor each time, so day 31 comes back after a short month.
    rule: CNV-3.

    >>> [str(boundary(date(2026, 1, 31), n)) for n in range(4)]
    ['2026-01-31', '2026-02-28', '2026-03-31', '2026-04-30']
    >>> str(boundary(date(2024, 2, 29), 12))
    '2025-02-28'
    """
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    return date(year, month + 1, min(anchor.day, monthrange(year, month + 1)[1]))


def months_before(anchor: date, day: date) -> int:
    """How many boundaries after the anchor lie on a day or before it; below 0 before the anchor.

    rule: CNV-3.

    >>> [months_before(date(2026, 1, 31), date(2026, *on)) for on in ((2, 27), (2, 28), (3, 1))]
    [0, 1, 1]
    """
    months = (day.year - anchor.year) * 12 + day.month - anchor.month
    return months - (boundary(anchor, months) > day)


def midnight(day: date, zone: tzinfo) -> datetime:
    """The first instant of a day in a time zone, as UTC. Rules CNV-1, CNV-9.

    Where clocks skip midnight it is the instant of the skip; where midnight comes
    twice it is the first.
    """
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def billing_date(at: datetime, zone: tzinfo) -> date:
    """The calendar date of an instant in the billing time zone. Rule CNV-1."""
    return at.astimezone(zone).date()


def cutoff_day(end_at: datetime, grace_hours: int) -> date:
    """The last landing day that an invoice takes in by itself.

    A landing day is a UTC date; it is in if it begins before the window's end plus the
    grace. rule: USE-8.

    >>> str(cutoff_day(datetime(2026, 5, 1, tzinfo=UTC), 24))
    '2026-05-01'
    >>> str(cutoff_day(datetime(2026, 5, 1, 12, tzinfo=UTC), 24))
    '2026-05-02'
    """
    return (end_at + timedelta(hours=grace_hours) - timedelta(microseconds=1)).date()
