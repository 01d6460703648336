"""What one event does to a customer: a new state, a decision, invoices, windows closed."""

from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from billing_core.actions import ReasonCode
from billing_core.drawing import Drawn, LedgerEntry
from billing_core.invoice import Invoice, UsedFeature
from billing_core.money import Money
from billing_core.period import Window
from billing_core.state import CustomerState, Funds
from billing_core.terms import Terms
from billing_core.usage import WindowKey


@dataclass(frozen=True, slots=True)
class Applied:
    """The action was done."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The action takes effect on a later day."""

    on: date


@dataclass(frozen=True, slots=True)
class Refused:
    """The action was not done, and why: a reason code and a sentence with the cure. ACT-6."""

    reason: ReasonCode
    what: str


Decision = Applied | Scheduled | Refused


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the customer is told. Rule QTA-5: dated with his date of the instant.

    used, limit: of the feature, in priced units; cost: what is above it is estimated to cost.
    invoice_id: of the invoice that it is about, where it is about one.
    """

    customer_id: str
    kind: str
    on: date
    at: datetime
    feature: str | None = None
    used: Fraction | None = None
    limit: Fraction | None = None
    cost: Money | None = None
    invoice_id: str | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """Usage that was looked at for a notice, its window not closed by it; as the terms have it."""

    key: WindowKey
    terms: Terms


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """A window that has ended, the usage it asks for, and where that usage went.

    invoice_id: of the invoice that charges it; None where none did (waived, or nothing due).
    drawn:      on credits or a balance, how it was drawn.
    """

    key: WindowKey
    window: Window
    terms: Terms
    usage: tuple[UsedFeature, ...]
    invoice_id: str | None = None
    drawn: Drawn | None = None

    @property
    def keys(self) -> tuple[WindowKey, ...]:
        """What usage is asked for: the window as a whole, or its stretches. Rule CRD-4."""
        return (self.key,) if self.drawn is None else self.drawn.keys


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of one event; everything that it made, in the order in which it was made.

    undone: earlier actions that are refused after all, by id (PAY-3).
    brought: credits or a balance that came from another system, in place of the included.
    """

    state: CustomerState
    decision: Decision = Applied()
    invoices: tuple[Invoice, ...] = ()
    notices: tuple[Notice, ...] = ()
    windows: tuple[ClosedWindow, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    undone: tuple[tuple[str, Refused], ...] = ()
    looked: tuple[Looked, ...] = ()
    brought: Funds | None = None


def refused(state: CustomerState, reason: ReasonCode, what: str) -> Step:
    """A step that changes nothing but records the refusal."""
    return Step(state, Refused(reason, what))
