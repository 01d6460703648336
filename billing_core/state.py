"""What is known of one customer between two events: subscription, seats, credits, invoices.

State is a value that the fold carries from event to event. It is a cache: folded again
from the customer's first action it comes out the same.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from billing_core.invoice import Invoice, InvoiceLine, InvoiceType, LineType
from billing_core.money import Money
from billing_core.period import Period, Span, Window
from billing_core.terms import AddonTerms, Terms


class Status(StrEnum):
    """Where a subscription stands. Rule SUB-1."""

    PENDING_PAYMENT = "pending_payment"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAUSED = "paused"
    PAST_DUE = "past_due"
    CANCELED = "canceled"
    EXPIRED = "expired"


class CancelReason(StrEnum):
    """Why a subscription was cancelled. Rules SUB-6, PAY-1, CAT-8, CAT-9."""

    REQUESTED = "requested"
    UNPAID = "unpaid"
    PLAN_DELETED = "plan_deleted"
    CUSTOMER_DELETED = "customer_deleted"


ENDED = frozenset({Status.CANCELED, Status.EXPIRED})
WITH_ACCESS = frozenset({Status.TRIALING, Status.ACTIVE, Status.PAST_DUE})
"""States in which usage is taken. Rule SUB-1."""


@dataclass(frozen=True, slots=True)
class Customer:
    """What billing needs to know of who pays; names and addresses stay outside. Rule CUS-1.

    time_zone:        its own, or None for the catalog's billing time zone.
    is_tax_id_valid:  by format and check digits, as the shell found (TAX-3).
    is_taxed:         False where no tax line is ever made.
    collection:       `automatic` or `on_terms`; None as of payment_days: the policies' (PAY-1).
    """

    id: str
    country: str | None = None
    time_zone: str | None = None
    is_tax_id_valid: bool = False
    is_taxed: bool = True
    collection: str | None = None
    payment_days: int | None = None


@dataclass(frozen=True, slots=True)
class SeatAddition:
    """Seats added above the level already paid, to be settled afterwards. Rule SEAT-2.

    included_on: the day from which on the plan includes them; None while it does not (SEAT-5).
    """

    added_on: date
    quantity: int
    included_on: date | None = None


@dataclass(frozen=True, slots=True)
class SeatHolding:
    """Seats of one feature.

    held:      now.
    covered:   the highest level paid or included in this period.
    advance:   what was charged in advance for this period.
    additions: true-ups of this period that are not yet invoiced, by date.
    """

    feature: str
    held: int
    covered: int
    advance: Money
    additions: tuple[SeatAddition, ...] = ()


@dataclass(frozen=True, slots=True)
class Discount:
    """A discount on the plan price, its terms frozen when it was got. Rules OFR-2, PRM-2, DSC-1.

    code:        of a promo code; None of the welcome offer.
    percent_bp:  of the plan price, in basis points; None where an amount is given.
    amount:      money off a paid period in the subscription's currency, exact.
    cycles_left: paid periods that it still reduces; None for ever.
    name:        what the page calls it, where it is neither welcome offer nor code.
    """

    code: str | None
    percent_bp: int | None
    amount: Fraction
    cycles_left: int | None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Negotiated:
    """Terms agreed on with one customer, above the catalog's. Rules FAIR-4, CUS-2.

    id:       of the action; plan: the plan that they patch, and no other.
    patch:    a JSON merge patch over the plan, as text.
    until_at: when they end, exclusive; None without end.
    """

    id: str
    plan: str
    patch: str
    since_at: datetime
    until_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HeldAddon:
    """An add-on of a subscription, as long as its period runs. Rules ADD-2, ADD-4, ADD-6.

    taken_at:   the instant from whose catalog its terms are.
    is_active:  False once deactivated; what is paid stays known until the period's end.
    is_paid:    whether the price of this period was charged.
    spans:      when it could be used in the running window, in order.
    invoice_id: of its activation in this period; None where the period's invoice charged it.
    """

    terms: AddonTerms
    taken_at: datetime
    is_active: bool = True
    is_paid: bool = False
    spans: tuple[Span, ...] = ()
    invoice_id: str | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription of a customer. Rules SUB-1, INV-1.

    anchor:      the day from which boundaries are counted; months: how many have passed.
    period:      what the plan price paid for; window: the running month of usage.
    time_zone:   by which the days of the running window are counted.
    plan_charge: what was billed for the plan this period, less discount (CNV-7).
    invoice_id:  of the invoice that opened this period.
    began_at:    when this period began; None in its first month, and of one that moved in.
    cancel_on:   the day on which a cancellation takes effect.
    next_plan, next_interval: of the period after this one, where a change is scheduled.
    checkout:    the initial invoice that waits for its payment.
    expires_at:  when a checkout that stays unpaid ends, or a paused one that was cancelled.
    settled_at:  of one that ended or rests, since when, or the last correction since.
    discount:    what reduces the plan price of the next paid periods.
    promo_code:  the code that it redeemed, also when the discount is used up or lost.
    negotiated:  what stands above the catalog, in the order agreed; ended ones of the period too.
    addons:      active ones, and those that were active in this period, by code.
    moved_in_at: of one that came from another system, since when it is billed here (CUS-2).
    trial_days:  of the trial that it was offered; 0 for none.
    trial_ends_at: when its trial ends, or ended (SUB-3).
    """

    id: str
    status: Status
    terms: Terms
    anchor: date
    months: int = 0
    period: Period | None = None
    window: Window | None = None
    time_zone: str | None = None
    seats: tuple[SeatHolding, ...] = ()
    plan_charge: Money | None = None
    invoice_id: str | None = None
    cancel_on: date | None = None
    next_plan: str | None = None
    next_interval: str | None = None
    checkout: Invoice | None = None
    expires_at: datetime | None = None
    settled_at: datetime | None = None
    discount: Discount | None = None
    promo_code: str | None = None
    negotiated: tuple[Negotiated, ...] = ()
    cancel_reason: CancelReason | None = None
    addons: tuple[HeldAddon, ...] = ()
    moved_in_at: datetime | None = None
    began_at: datetime | None = None
    trial_days: int = 0
    trial_ends_at: datetime | None = None


def trial_end(subscription: Subscription, at: datetime) -> datetime | None:
    """When the trial of a subscription ended that a change or an end may have cut short."""
    end_at = subscription.trial_ends_at
    return None if end_at is None else min(end_at, at)


def ended(
    subscription: Subscription, at: datetime, reason: CancelReason = CancelReason.REQUESTED
) -> Subscription:
    """A subscription cancelled at an instant: nothing of it runs any more. Rule SUB-6."""
    return replace(
        subscription,
        status=Status.CANCELED,
        window=None,
        cancel_on=None,
        checkout=None,
        expires_at=None,
        settled_at=at,
        cancel_reason=reason,
        addons=(),
        trial_ends_at=trial_end(subscription, at),
    )


@dataclass(frozen=True, slots=True)
class CustomerCredit:
    """Money that the customer has with us, applied to later invoices. Rule CUS-1.

    granted: what it was at first; left: what of it can still be drawn, 0 once it is used up.
    """

    id: str
    granted_at: datetime
    reason: str
    granted: Money
    left: Money
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A part of an invoice that a later document gave back. Rule PST-2.

    type, code, rate_bp: of the line that is corrected; of an adjustment, its own type.
    amount:              > 0, before tax; of type `tax` the tax at that rate.
    """

    type: LineType
    code: str | None
    rate_bp: int | None
    amount: Money


@dataclass(frozen=True, slots=True)
class PaymentResult:
    """The result of an attempt to collect an invoice, as it was landed, or a refund. PAY-1, CUR-1.

    result:  `succeeded` or `failed`; of a refund `refunded`.
    amount:  presented, in the invoice's currency.
    settled: what was settled of it, in `settlement_currency`; None where nothing was said.
    """

    action_id: str
    at: datetime
    result: str
    amount: Money
    settled: Decimal | None = None
    settlement_currency: str | None = None


@dataclass(frozen=True, slots=True)
class InvoiceRecord:
    """What payments and corrections need to know of an invoice that was made. PAY-0, PAY-2.

    paid, refunded:  what came in for it, but for what later invoices drew; what went back.
    credited:        by credit notes; written_off: what is asked for no more.
    rates:           the tax rate of each category of its own lines; None for no tax (TAX-2).
    subscription_id: whose charges it has; None where it is of none known here.
    failures:        failed attempts to collect it that count for the dunning (PAY-1); 0 again
                     when nothing is unpaid.
    given_back:      what later documents gave back of it, credit notes and others (PST-2).
    payments:        results of attempts to collect it, as they came.
    refunds:         what went back of it, one by one.
    payment_days:    days to pay after its issue, on terms; None: collected automatically.
    is_overdue:      on terms, unpaid when its last day to pay had passed, and told so.
    made:            the invoice; not kept as text, since what is posted stands in the books.
    is_uncollectible: the dunning has ended without success; no more when nothing is unpaid.
    type, due_on:    of an invoice of another system, no type, and the last day to pay (CUS-2).
    """

    id: str
    type: InvoiceType | None
    billing_day: date
    total: Money
    paid: Money
    credited: Money
    refunded: Money
    written_off: Money
    rates: tuple[tuple[str, int | None], ...] = ()
    subscription_id: str | None = None
    failures: int = 0
    is_uncollectible: bool = False
    given_back: tuple[GivenBack, ...] = ()
    payments: tuple[PaymentResult, ...] = ()
    refunds: tuple[PaymentResult, ...] = ()
    payment_days: int | None = None
    is_overdue: bool = False
    made: Invoice | None = field(default=None, compare=False, repr=False)
    due_on: date | None = None

    @property
    def unpaid(self) -> Money:
        """Still to pay; below 0, what was paid too much. Rule PAY-2."""
        return Money(self.unpaid_minor, self.total.currency)

    @property
    def unpaid_minor(self) -> int:
        """What is unpaid, in minor units."""
        came = self.paid.minor - self.refunded.minor
        return self.total.minor - came - self.credited.minor - self.written_off.minor


@dataclass(frozen=True, slots=True)
class Addition:
    """Credits bought, money topped up, or more included: CRD-2, BAL-3, FAIR-5.

    kind: `purchase`, `topup` or `adjustment`; on: the customer's date; code: of the pack.
    """

    customer_id: str
    at: datetime
    on: date
    kind: str
    amount: Fraction
    code: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Funds:
    """Credits, or a balance, at the start of the running window, and what was added since.

    unit:      `credits`, or the currency of a balance.
    plan:      of the plan, or the balance with its top-ups; exact, a balance may be below 0.
    purchased: bought credits, which no reset and no end takes away (CRD-2).
    """

    unit: str
    plan: Fraction
    purchased: Fraction
    additions: tuple[Addition, ...] = ()


@dataclass(frozen=True, slots=True)
class Purchase:
    """What was bought and is there when its payment succeeds. Rules PAY-3, PAY-0.

    action_id:       of the purchase; with `draft` the names that a payment can give.
    subscription_id: which it was bought for; period: of an add-on, what its price is for.
    line:            what it costs; draft: its invoice, which is made when it is paid.
    gives:           credits or money, or an add-on.
    """

    action_id: str
    subscription_id: str
    period: Period | None
    line: InvoiceLine
    draft: Invoice
    gives: Addition | AddonTerms


@dataclass(frozen=True, slots=True)
class AdjustmentDue:
    """A difference from a posted invoice that the next invoice books. Rules ACT-3, USE-7.

    It is a difference of two rounded sums, so it is money and not rounded again.
    """

    invoice_id: str
    invoice_day: date
    code: str | None
    name: str
    unit: str
    amount: Money
    service: Period
    tax_category: str


@dataclass(frozen=True, slots=True)
class CustomerState:
    """All that the fold knows of one customer. `customer` is None before he was created.

    has_subscribed, redeemed: a subscription before the last one began, and codes of such (OFR-1).
    purchases: those that wait for their payment, in order of time (PAY-3).
    """

    customer_id: str
    customer: Customer | None = None
    subscription: Subscription | None = None
    credits: tuple[CustomerCredit, ...] = ()
    invoices: tuple[InvoiceRecord, ...] = ()
    adjustments: tuple[AdjustmentDue, ...] = ()
    funds: Funds | None = None
    has_subscribed: bool = False
    redeemed: tuple[str, ...] = ()
    purchases: tuple[Purchase, ...] = ()
