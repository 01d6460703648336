"""What was used, as known at a cutoff: the values that SQL hands to the billing core.

Quantities are in event units (CAT-12); the division by `per` happens in rating.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

TOKEN_CLASSES = ("input", "output", "cache_read", "cache_write")
"""The four kinds of AI tokens, in the order in which they are shown. Rule AI-1."""


@dataclass(frozen=True, slots=True)
class TokenUse:
    """Tokens of one model at one price, summed over a window.

    tokens:            whole tokens for each of TOKEN_CLASSES.
    price_per_million: money per million tokens for each of TOKEN_CLASSES.
    rate_units:        with `token_cost_rounding: per_event`, the sum over events of the
                       cost rounded up to a rate unit (0.0001), for each class; else zeros.
    margin_units:      with per_event, margin in basis points -> the sum over events of the
                       margin rounded up to a rate unit. Rules AI-1, AI-7.
    """

    model: str
    tokens: tuple[int, int, int, int]
    price_per_million: tuple[Decimal, Decimal, Decimal, Decimal]
    rate_units: tuple[int, int, int, int] = (0, 0, 0, 0)
    margin_units: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UsageSnapshot:
    """Usage of one customer, feature and window, as known at a cutoff.

    quantity: what the feature's aggregation gives (CAT-11), event units; of AI features
              the sum of all tokens.
    amount:   the sum of the events' own amounts (`dynamic`), in major units.
    tokens:   by model, price; sorted; empty for features without models.
    """

    customer_id: str
    feature: str
    start_at: datetime
    end_at: datetime
    cutoff_on: date
    events: int
    quantity: Decimal
    amount: Decimal = Decimal(0)
    tokens: tuple[TokenUse, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class WindowKey:
    """Which usage a fold asks for: one customer's window as known at a cutoff."""

    customer_id: str
    start_at: datetime
    end_at: datetime
    cutoff_on: date


Usage = Mapping[WindowKey, Mapping[str, UsageSnapshot]]
"""Snapshots by window and feature. A window that is not there has not been metered."""
