"""One explicit schema for each dataset of usage, and the only way from it to core values.

Quantities are decimal(38, 9) in event units, tokens and rate units are whole numbers,
instants are UTC with microseconds. Nothing here multiplies or divides.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any, Literal

import polars as pl

from billing_core.usage import TokenUse, Usage, UsageSnapshot, WindowKey

Aggregation = Literal["sum", "count", "max", "latest", "unique_count", "level"]
STATEFUL = ("max", "latest", "unique_count", "level")
"""Aggregations of which single parts are kept beside the sums. Rule CAT-11."""

QUANTITY = pl.Decimal(38, 9)
PRICE = pl.Decimal(38, 12)
INSTANT = pl.Datetime("us", "UTC")
_WIDE = Context(prec=60)

Schema = dict[str, pl.DataType | type[pl.DataType]]


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """What metering has to know of a feature. Rules CAT-2, CAT-11.

    aggregation: `level` for quota features, whose signed changes make a running level.
    property:    what `unique_count` counts; dimensions: up to two, kept and shown.
    """

    code: str
    aggregation: Aggregation = "sum"
    property: str | None = None
    dimensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanFeature:
    """A feature of the plan in a window; of AI features the quantity is tokens.

    from_at, until_at: a part of the window in which it could be used (ADD-6), which has no
                       instant in common with another part; None: no bound but the window's.
    """

    code: str
    is_ai: bool = False
    from_at: datetime | None = None
    until_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """One window in which a customer had access, and what its plan has. Rule USE-8."""

    key: WindowKey
    features: tuple[PlanFeature, ...]


@dataclass(frozen=True, slots=True)
class KnownCustomer:
    """A customer under one of the ids that may stand on events, from a landing day on."""

    external_id: str
    customer_id: str
    known_from: date


_TOKENS: Schema = {
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "cache_read_tokens": pl.Int64,
    "cache_write_tokens": pl.Int64,
    "input_units": pl.Int64,
    "output_units": pl.Int64,
    "cache_read_units": pl.Int64,
    "cache_write_units": pl.Int64,
}

USAGE_DAILY: Schema = {
    "landing_day": pl.Date,
    "counts_from": pl.Date,
    "event_day": pl.Date,
    "customer_id": pl.String,
    "feature": pl.String,
    "dimension_1": pl.String,
    "dimension_2": pl.String,
    "model": pl.String,
    "price_id": pl.Int32,
    "is_negative": pl.Boolean,
    "events": pl.Int64,
    "value": QUANTITY,
    "amount": QUANTITY,
    **_TOKENS,
}
"""What was used on an event day, as one landing day adds it; by every column to is_negative."""

USAGE_MARGINS: Schema = {
    "landing_day": pl.Date,
    "counts_from": pl.Date,
    "event_day": pl.Date,
    "customer_id": pl.String,
    "feature": pl.String,
    "model": pl.String,
    "price_id": pl.Int32,
    "margin_bp": pl.Int32,
    "margin_units": pl.Int64,
}
"""Margins rounded up for each event, for each margin in use. Rule AI-1."""

USAGE_STATES: Schema = {
    "landing_day": pl.Date,
    "counts_from": pl.Date,
    "event_day": pl.Date,
    "customer_id": pl.String,
    "feature": pl.String,
    "occurred_at": INSTANT,
    "source": pl.String,
    "event_id": pl.String,
    "property_digest": pl.String,
    "is_negative": pl.Boolean,
    "value": QUANTITY,
    "events": pl.Int64,
}
"""What maxima, latest values, levels and distinct counts are made of. Rule CAT-11."""

USAGE_EDGES: Schema = {
    "landing_day": pl.Date,
    "counts_from": pl.Date,
    "event_day": pl.Date,
    "customer_id": pl.String,
    "feature": pl.String,
    "occurred_at": INSTANT,
    "source": pl.String,
    "event_id": pl.String,
    "dimension_1": pl.String,
    "dimension_2": pl.String,
    "model": pl.String,
    "price_id": pl.Int32,
    "property_digest": pl.String,
    "is_negative": pl.Boolean,
    "events": pl.Int64,
    "value": QUANTITY,
    "amount": QUANTITY,
    **_TOKENS,
}
"""Single events of the days inside which a window starts or ends, of the customers asked for."""

USAGE_EXCLUDED: Schema = {"path": pl.String, "row_number": pl.Int64, "kind": pl.String}
"""Rows that do not count: duplicate, conflict, retracted, set_aside; by path and row."""

USAGE_CONFLICTS: Schema = {
    "landing_day": pl.Date,
    "path": pl.String,
    "row_number": pl.Int64,
    "first_landing_day": pl.Date,
    "source": pl.String,
    "event_id": pl.String,
    "customer_id": pl.String,
    "feature": pl.String,
    "occurred_at": INSTANT,
    "value": QUANTITY,
    "amount": QUANTITY,
    "model": pl.String,
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "cache_read_tokens": pl.Int64,
    "cache_write_tokens": pl.Int64,
}
"""Events with a known id and other content: listed, not counted. Rule USE-2."""

SET_ASIDE: Schema = {
    "landing_day": pl.Date,
    "path": pl.String,
    "row_number": pl.Int64,
    "reason": pl.String,
    "source": pl.String,
    "event_id": pl.String,
    "customer_id": pl.String,
    "feature": pl.String,
    "model": pl.String,
    "occurred_at": INSTANT,
    "what": pl.String,
    "mend": pl.String,
}
"""Rows that cannot be counted, by path and row; row null: the whole file. Rules USE-1, USE-11."""

USAGE_RETRACTIONS: Schema = {
    "landing_day": pl.Date,
    "path": pl.String,
    "row_number": pl.Int64,
    "identity": pl.UInt64,
    "counted_on": pl.Date,
    "is_first": pl.Boolean,
    "source": pl.String,
    "event_id": pl.String,
    "retracts": pl.String,
}
"""Retractions, with the digest of the event that each takes back, and where it was counted."""

USAGE_REVERSALS: Schema = {
    "landing_day": pl.Date,
    "counts_from": pl.Date,
    "source": pl.String,
    "event_id": pl.String,
    "customer_id": pl.String,
    "feature": pl.String,
    "dimension_1": pl.String,
    "dimension_2": pl.String,
    "property": pl.String,
    "occurred_at": INSTANT,
    "value": QUANTITY,
    "amount": QUANTITY,
    "model": pl.String,
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "cache_read_tokens": pl.Int64,
    "cache_write_tokens": pl.Int64,
}
"""Events of earlier landing days that a retraction of this day takes back. Rule USE-9."""

USAGE_RECEIPTS: Schema = {
    "landing_day": pl.Date,
    "path": pl.String,
    "sha256": pl.String,
    "rows": pl.Int64,
    "filtered": pl.Int64,
    "counted": pl.Int64,
    "duplicates": pl.Int64,
    "conflicts": pl.Int64,
    "set_aside": pl.Int64,
    "retracted": pl.Int64,
    "retractions": pl.Int64,
    "reversed": pl.Int64,
    "inputs_sha256": pl.String,
    "spec_sha256": pl.String,
}
"""What became of the rows of each file: rows is the sum of filtered to retractions. USE-6."""

USAGE_SNAPSHOTS: Schema = {
    "customer_id": pl.String,
    "feature": pl.String,
    "start_at": INSTANT,
    "end_at": INSTANT,
    "cutoff_on": pl.Date,
    "events": pl.Int64,
    "quantity": QUANTITY,
    "amount": QUANTITY,
}
"""Usage of one customer, feature and window as known at a cutoff; event units, or tokens."""

USAGE_SNAPSHOT_TOKENS: Schema = {
    "customer_id": pl.String,
    "feature": pl.String,
    "start_at": INSTANT,
    "end_at": INSTANT,
    "cutoff_on": pl.Date,
    "model": pl.String,
    "price_id": pl.Int32,
    **_TOKENS,
    "input_price": PRICE,
    "output_price": PRICE,
    "cache_read_price": PRICE,
    "cache_write_price": PRICE,
    "margins": pl.List(pl.Struct({"margin_bp": pl.Int32, "margin_units": pl.Int64})),
}
"""The tokens of a snapshot by model and price; prices are money per million tokens."""

USAGE_SET_ASIDE: Schema = {
    "reason": pl.String,
    "customer_id": pl.String,
    "feature": pl.String,
    "event_day": pl.Date,
    "events": pl.Int64,
    "quantity": QUANTITY,
    "landing_day": pl.Date,
    "path": pl.String,
    "what": pl.String,
    "mend": pl.String,
}
"""What was received and not rated, as known at a landing day. Rules USE-1, USE-5, USE-11."""


def conformed(table: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """A table with exactly the columns and types of a schema; a lossy cast fails."""
    return table.select(pl.col(name).cast(kind, strict=True) for name, kind in schema.items())


def empty(schema: Schema) -> pl.DataFrame:
    """The table of a schema without rows."""
    return pl.DataFrame(schema=schema)


def usage_values(
    requests: Iterable[WindowRequest], snapshots: pl.DataFrame, tokens: pl.DataFrame
) -> Usage:
    """Snapshots as the billing core takes them; every window asked for has an entry."""
    uses: dict[tuple[Any, ...], list[TokenUse]] = {}
    for row in tokens.iter_rows(named=True):
        uses.setdefault(_place(row), []).append(_token_use(row))
    usage: dict[WindowKey, dict[str, UsageSnapshot]] = {item.key: {} for item in requests}
    for row in snapshots.iter_rows(named=True):
        snapshot = _snapshot(row, uses.get(_place(row), []))
        key = WindowKey(
            snapshot.customer_id, snapshot.start_at, snapshot.end_at, snapshot.cutoff_on
        )
        usage[key][snapshot.feature] = snapshot
    return usage


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row["customer_id"], row["feature"], row["start_at"], row["end_at"], row["cutoff_on"])


def _snapshot(row: Mapping[str, Any], uses: list[TokenUse]) -> UsageSnapshot:
    return UsageSnapshot(
        customer_id=row["customer_id"],
        feature=row["feature"],
        start_at=_utc(row["start_at"]),
        end_at=_utc(row["end_at"]),
        cutoff_on=row["cutoff_on"],
        events=row["events"],
        quantity=plain(row["quantity"]),
        amount=plain(row["amount"]),
        tokens=tuple(uses),
    )


def _token_use(row: Mapping[str, Any]) -> TokenUse:
    classes = ("input", "output", "cache_read", "cache_write")
    tokens, units = ([row[f"{name}_{of}"] for name in classes] for of in ("tokens", "units"))
    prices = [plain(row[f"{name}_price"]) for name in classes]
    return TokenUse(
        model=row["model"],
        tokens=(tokens[0], tokens[1], tokens[2], tokens[3]),
        price_per_million=(prices[0], prices[1], prices[2], prices[3]),
        rate_units=(units[0], units[1], units[2], units[3]),
        margin_units={item["margin_bp"]: item["margin_units"] for item in row["margins"] or ()},
    )


def plain(number: Decimal) -> Decimal:
    """A decimal without needless zeros: 3.000000000 is 3, 1000 stays 1000.

    >>> plain(Decimal("1000.500000000")), plain(Decimal("1E+3"))
    (Decimal('1000.5'), Decimal('1000'))
    """
    whole = number.to_integral_value()
    return Decimal(int(whole)) if number == whole else number.normalize(_WIDE)


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)
