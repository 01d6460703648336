"""What an actor did at an instant: one row of the action log.

One model for each `do`, with the fields of that action. What an action does to a
customer is decided in the fold; here stands only what it says and who may say it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from billing_core.catalog import Audit, DiscountType, Interval
from billing_core.errors import Problem
from billing_core.patches import patch_problems
from billing_core.period import MONTHS, boundary, months_before
from billing_core.schema import (
    Amount,
    Code,
    Count,
    Country,
    CurrencyCode,
    Day,
    DayOrInstant,
    Instant,
    Lines,
    PlainTree,
    PositiveAmount,
    PositiveCount,
    PromoCodeText,
    Record,
    Text,
    YesNo,
    nearest,
    problems_of,
    refusal,
)

Actor = Literal["founder", "customer", "system"]

WHOLE = 10_000
"""A whole in basis points. Rule CNV-8."""


class ReasonCode(StrEnum):
    """Why an action was refused. Rule ACT-6."""

    ALREADY_ACTIVE = "already_active"
    ALREADY_OWNED = "already_owned"
    ALREADY_REDEEMED = "already_redeemed"
    ALREADY_SUBSCRIBED = "already_subscribed"
    AMBIGUOUS_MODEL = "ambiguous_model"
    BELOW_MINIMUM = "below_minimum"
    CATALOG_CHANGED = "catalog_changed"
    CURRENCY_NOT_AVAILABLE = "currency_not_available"
    EXPIRED = "expired"
    FEATURE_NOT_IN_PLAN = "feature_not_in_plan"
    INACTIVE = "inactive"
    INCOMPATIBLE_ADDON = "incompatible_addon"
    INTERVAL_NOT_AVAILABLE = "interval_not_available"
    INTRO_OFFER_ACTIVE = "intro_offer_active"
    LATE_ACTION = "late_action"
    LISTING_REQUIREMENTS_NOT_MET = "listing_requirements_not_met"
    MAX_REDEMPTIONS_REACHED = "max_redemptions_reached"
    NEGATIVE_SEATS = "negative_seats"
    NOT_CANCELLING = "not_cancelling"
    NOT_FOUND = "not_found"
    NOT_ON_SALE = "not_on_sale"
    NOT_PAUSED = "not_paused"
    NOT_SAME_GROUP = "not_same_group"
    NOT_SUBSCRIBED = "not_subscribed"
    PACK_EXPIRED = "pack_expired"
    PACK_NOT_AVAILABLE = "pack_not_available"
    PAST_DUE = "past_due"
    PAYMENT_FAILED = "payment_failed"
    PLAN_NOT_AVAILABLE = "plan_not_available"
    PLAN_NOT_ELIGIBLE = "plan_not_eligible"
    QUOTA_EXCEEDED = "quota_exceeded"
    SEATS_NOT_INCLUDED = "seats_not_included"
    TRIALING = "trialing"
    UNKNOWN_CUSTOMER = "unknown_customer"
    UNKNOWN_INVOICE = "unknown_invoice"
    UNKNOWN_SALE = "unknown_sale"
    WRONG_ACTOR = "wrong_actor"
    WRONG_MODEL = "wrong_model"


class OutcomeStatus(StrEnum):
    """What became of an action. Rule FAIR-10."""

    APPLIED = "applied"
    SCHEDULED = "scheduled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action for one customer. Rules FAIR-10, ACT-2.

    customer_id:  None for an action that concerns no single customer.
    scheduled_on: the day it will happen, of `scheduled`; reason: of `refused`.
    what:         one sentence for people.
    """

    action_id: str
    customer_id: str | None
    status: OutcomeStatus
    what: str
    at: datetime
    received_at: datetime
    scheduled_on: date | None = None
    reason: ReasonCode | None = None

    def __str__(self) -> str:
        """As scenarios write it: `applied`, `scheduled 2026-05-01`, `refused past_due`."""
        detail = self.scheduled_on or self.reason
        return f"{self.status}" if detail is None else f"{self.status} {detail}"


class Common(Record):
    """The fields that every action has. Rule ACT-1.

    at: when it takes effect; received_at: when it arrived.
    """

    id: Code
    at: Instant
    received_at: Instant
    actor: Actor = "customer"


class OfCustomer(Common):
    """An action that concerns one customer."""

    customer: Code


class CreateCustomer(OfCustomer):
    """A customer, with what is known of him. Rules CUS-1, TAX-3.

    name, email, address, tax_id: personal; taken out before the fold sees the action.
    tax_id_checked_on: the day on which the tax id was found valid; not written by people.
    is_taxed:          false where no tax line is ever made.
    """

    do: Literal["create_customer"] = "create_customer"
    name: Text | None = None
    email: Text | None = None
    country: Country | None = None
    tax_id: Text | None = None
    address: Lines = ()
    time_zone: Text | None = None
    locale: Text | None = None
    external_ids: tuple[Text, ...] = ()
    collection: Literal["automatic", "on_terms"] | None = None
    payment_days: Count | None = None
    tax_id_checked_on: Day | None = None
    is_taxed: YesNo = True


class UpdateCustomer(OfCustomer):
    """What changed of a customer: the fields in `model_fields_set`, null clears. Rule ACT-2."""

    do: Literal["update_customer"] = "update_customer"
    name: Text | None = None
    email: Text | None = None
    country: Country | None = None
    tax_id: Text | None = None
    address: Lines | None = None
    time_zone: Text | None = None
    locale: Text | None = None
    external_ids: tuple[Text, ...] | None = None
    collection: Literal["automatic", "on_terms"] | None = None
    payment_days: Count | None = None
    tax_id_checked_on: Day | None = None


class ImportedCredits(Record):
    """Credits that a customer brings along: of the plan, left this month, and bought ones.

    plan: None for all that the plan includes.
    """

    plan: Amount | None = None
    purchased: Amount = Decimal(0)


class ImportedDiscount(Record):
    """A discount with cycles left; cycles None: for ever. code: whose place it takes.

    value: basis points of a percentage; money in the subscription's currency of an amount.
    """

    type: DiscountType
    value: PositiveAmount
    cycles: PositiveCount | None = None
    code: PromoCodeText | None = None

    @field_validator("value")
    @classmethod
    def _is_a_share(cls, value: Decimal, seen: ValidationInfo) -> Decimal:
        is_points = value == value.to_integral_value() and value <= WHOLE
        if seen.data.get("type") == "percentage" and not is_points:
            raise refusal(
                "range",
                f"a percentage of {value} basis points is not between 0 and 100 %",
                "write whole basis points up to 10000: 2500 is 25 %",
            )
        return value


def _plan_credits(value: object) -> object:
    return {"plan": value} if isinstance(value, str | int | Decimal) else value


class ImportSubscription(OfCustomer):
    """The subscription of a customer who comes from another system. Rule CUS-2.

    anchor: from which boundaries are counted; the period begins and ends on one of them.
    terms:  a patch over the plan. Nothing before `paid_through` is billed.
    """

    do: Literal["import_subscription"] = "import_subscription"
    plan: Code
    interval: Interval | None = None
    currency: CurrencyCode | None = None
    anchor: Day
    period: tuple[Day, Day]
    paid_through: Day
    terms: PlainTree | None = None
    seats: dict[Code, Count] = Field(default_factory=dict)
    credits: Annotated[ImportedCredits, BeforeValidator(_plan_credits)] | None = None
    balance: Amount | None = None
    discount: ImportedDiscount | None = None

    @field_validator("period")
    @classmethod
    def _fits_the_anchor(cls, period: tuple[date, date], seen: ValidationInfo) -> tuple[date, date]:
        (start, end), anchor = period, seen.data.get("anchor")
        if start >= end:
            mend = "end the period on a day after its start"
            raise refusal("range", "the period has no days", mend)
        interval = seen.data.get("interval") or "monthly"
        if anchor is None:
            return period
        months = months_before(anchor, start)
        own = tuple(boundary(anchor, months + more) for more in (0, MONTHS[interval]))
        if months < 0 or period != own:
            raise refusal(
                "range",
                f"the period {start} to {end} is no {interval} period of the anchor {anchor}",
                f"with this anchor it is {own[0]} to {own[1]}; else give the day from which its "
                "boundaries are counted, at or before its start, as the anchor",
            )
        return period

    @field_validator("paid_through")
    @classmethod
    def _lies_in_the_period(cls, day: date, seen: ValidationInfo) -> date:
        start, end = seen.data.get("period", (day, day))
        if not start <= day <= end:
            raise refusal(
                "range",
                f"{day} is outside of the period {start} to {end}",
                "give the period that it pays for; its end is the first day that is not paid",
            )
        return day


class Outstanding(Record):
    """An invoice of another system that is not paid."""

    invoice: Text
    due: Day
    amount: PositiveAmount


class OpeningBalance(OfCustomer):
    """What a customer brings along in money: credit, and invoices that are unpaid.

    currency: of all of it; without, the subscription's, else the catalog's.
    """

    do: Literal["opening_balance"] = "opening_balance"
    customer_credit: PositiveAmount | None = None
    outstanding: tuple[Outstanding, ...] = ()
    currency: CurrencyCode | None = None

    @model_validator(mode="after")
    def _has_something(self) -> Self:
        if self.customer_credit is None and not self.outstanding:
            mend = "give customer_credit, outstanding, or both"
            raise refusal("one_of", "there is neither credit nor debt", mend)
        return self


class OverrideTerms(OfCustomer):
    """A negotiated price on this subscription alone: a patch over the plan. Rule FAIR-4.

    until: the day on which it ends, exclusive. An empty patch ends all that was negotiated.
    """

    do: Literal["override_terms"] = "override_terms"
    patch: PlainTree
    until: Day | None = None

    @model_validator(mode="after")
    def _ends_what_it_says(self) -> Self:
        if not self.patch and self.until is not None:
            raise refusal("one_of", "an empty patch ends on a later day", "leave until out")
        return self


class Subscribe(OfCustomer):
    do: Literal["subscribe"] = "subscribe"
    plan: Code
    interval: Interval | None = None
    currency: CurrencyCode | None = None
    promo_code: PromoCodeText | None = None
    seats: dict[Code, Count] = Field(default_factory=dict)


class TrialSetup(OfCustomer):
    """The trial's payment method is stored. Rule SUB-3."""

    do: Literal["trial_setup"] = "trial_setup"


class ChangePlan(OfCustomer):
    """Another plan, another interval, or both. Rules CHG-1, CHG-9."""

    do: Literal["change_plan"] = "change_plan"
    plan: Code | None = None
    interval: Interval | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.plan is None and self.interval is None:
            raise refusal("one_of", "neither plan nor interval is given", "add what changes")
        return self


class Cancel(OfCustomer):
    do: Literal["cancel"] = "cancel"
    when: Literal["period_end", "now"] = "period_end"


class UndoCancel(OfCustomer):
    do: Literal["undo_cancel"] = "undo_cancel"


class Pause(OfCustomer):
    do: Literal["pause"] = "pause"


class Resume(OfCustomer):
    do: Literal["resume"] = "resume"


class ActivateAddon(OfCustomer):
    do: Literal["activate_addon"] = "activate_addon"
    addon: Code


class DeactivateAddon(OfCustomer):
    do: Literal["deactivate_addon"] = "deactivate_addon"
    addon: Code


class AddSeats(OfCustomer):
    do: Literal["add_seats"] = "add_seats"
    feature: Code
    quantity: PositiveCount
    reason: Text | None = None


class RemoveSeats(OfCustomer):
    do: Literal["remove_seats"] = "remove_seats"
    feature: Code
    quantity: PositiveCount
    reason: Text | None = None


class SetSeats(OfCustomer):
    do: Literal["set_seats"] = "set_seats"
    feature: Code
    quantity: Count
    reason: Text | None = None


class BuyCreditPack(OfCustomer):
    do: Literal["buy_credit_pack"] = "buy_credit_pack"
    pack: Code


class BuyCapacityPack(OfCustomer):
    do: Literal["buy_capacity_pack"] = "buy_capacity_pack"
    pack: Code


class BuyQuotaPack(OfCustomer):
    do: Literal["buy_quota_pack"] = "buy_quota_pack"
    pack: Code


class RenewQuotaPack(OfCustomer):
    do: Literal["renew_quota_pack"] = "renew_quota_pack"
    pack: Code


class TopUp(OfCustomer):
    do: Literal["top_up"] = "top_up"
    amount: PositiveAmount


class ConfirmOverage(OfCustomer):
    """Overage may be charged in this window, at most `cap` in money. Rule OVR-1."""

    do: Literal["confirm_overage"] = "confirm_overage"
    feature: Code
    cap: Amount | None = None


class AllocateJobSlot(OfCustomer):
    do: Literal["allocate_job_slot"] = "allocate_job_slot"
    feature: Code
    job: Code


class ReleaseJobSlot(OfCustomer):
    do: Literal["release_job_slot"] = "release_job_slot"
    feature: Code
    job: Code


class BuyItem(OfCustomer):
    do: Literal["buy_item"] = "buy_item"
    item: Code


class BuyBundle(OfCustomer):
    do: Literal["buy_bundle"] = "buy_bundle"
    bundle: Code


class RefundSale(OfCustomer):
    """sale: the action id of the purchase. Rules REV-2, REV-3."""

    do: Literal["refund_sale"] = "refund_sale"
    sale: Code


class InvoiceReference(Record):
    """An invoice by its type and date: the last made. Rule PAY-0."""

    type: Literal[
        "initial",
        "recurring",
        "overage",
        "plan_change",
        "addon_activation",
        "pack_purchase",
        "balance_topup",
        "store_purchase",
        "final",
        "adjustment",
        "credit_note",
    ]
    on: Day


def _text_or_reference(value: object) -> str:
    return "<text>" if isinstance(value, str) else "<reference>"


InvoiceName = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[InvoiceReference, Tag("<reference>")],
    Discriminator(_text_or_reference),
]
"""An invoice by its id or number, or by type and date."""


class Settlement(Record):
    """What came of a payment in the currency in which it is settled. Rule CUR-1."""

    amount: PositiveAmount
    currency: CurrencyCode


class Payment(OfCustomer):
    """The result of an attempt to collect an invoice. Rules PAY-0, PAY-1, CUR-1.

    amount: what was presented, in the invoice's currency; None: all that is unpaid.
    """

    do: Literal["payment"] = "payment"
    invoice: InvoiceName
    result: Literal["succeeded", "failed"]
    amount: PositiveAmount | None = None
    settlement: Settlement | None = None


class PublishCatalog(Common):
    """A catalog version comes into force at `at`. Rule CAT-1.

    catalog: a whole version; patch: a JSON merge patch over the version before.
    """

    do: Literal["publish_catalog"] = "publish_catalog"
    catalog: PlainTree | None = None
    patch: PlainTree | None = None

    @property
    def customer(self) -> None:
        """No single customer is concerned."""
        return

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.catalog is None) == (self.patch is None):
            raise refusal(
                "one_of",
                "either catalog or patch must be given",
                "give a whole version as catalog, or a patch over the version before",
            )
        return self


class AssignPlan(OfCustomer):
    """The founder moves a customer, also across groups. Rule CHG-13."""

    do: Literal["assign_plan"] = "assign_plan"
    plan: Code
    interval: Interval | None = None
    effective: Literal["now", "renewal"] = "now"


class DeletePlan(Common):
    """A plan ends for all who have it, at their next period. Rule CAT-8."""

    do: Literal["delete_plan"] = "delete_plan"
    plan: Code
    option: Literal["cancel", "migrate"]
    to: Code | None = None

    @property
    def customer(self) -> None:
        """No single customer is concerned."""
        return

    @model_validator(mode="after")
    def _says_where_to(self) -> Self:
        if (self.option == "migrate") != (self.to is not None):
            raise refusal(
                "one_of",
                "the plan to migrate to is given exactly with option migrate",
                "add to: PLAN with option migrate, leave it out with option cancel",
            )
        return self


class DeleteCustomer(OfCustomer):
    do: Literal["delete_customer"] = "delete_customer"


class GrantCredit(OfCustomer):
    """Money given to a customer. Rule CUS-1."""

    do: Literal["grant_credit"] = "grant_credit"
    amount: PositiveAmount
    reason: Text
    currency: CurrencyCode | None = None
    expires_at: DayOrInstant | None = None


class RevokeCredit(OfCustomer):
    do: Literal["revoke_credit"] = "revoke_credit"
    amount: PositiveAmount
    reason: Text
    currency: CurrencyCode | None = None


class AuditItem(Common):
    """What was measured of an item of the store. Rule STO-2."""

    do: Literal["audit_item"] = "audit_item"
    item: Code
    audit: Audit

    @property
    def customer(self) -> None:
        """No single customer is concerned."""
        return


class CorrectedLine(Record):
    """A line of an invoice and how much of it is corrected, in money."""

    type: Text
    code: Code | None = None
    amount: PositiveAmount


class Correction(OfCustomer):
    """An amount of an invoice as a whole, or of some of its lines."""

    invoice: InvoiceName
    amount: PositiveAmount | None = None
    lines: tuple[CorrectedLine, ...] = ()
    reason: Text

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.amount is None) == (not self.lines):
            raise refusal("one_of", "either amount or lines must be given", "give one of the two")
        return self


class IssueCreditNote(Correction):
    do: Literal["issue_credit_note"] = "issue_credit_note"


class WriteOff(Correction):
    do: Literal["write_off"] = "write_off"


class Refund(Correction):
    do: Literal["refund"] = "refund"


class DecideConflict(Common):
    """Which of two contents of one event id counts. Rule USE-2."""

    do: Literal["decide_conflict"] = "decide_conflict"
    customer: Code | None = None
    source: Text | None = None
    event_id: Text
    keep: Literal["first", "other", "none"]


class ReleaseHold(OfCustomer):
    """A customer's invoices need wait no longer. Rules USE-2, PST-5."""

    do: Literal["release_hold"] = "release_hold"
    reason: Text


Action = (
    CreateCustomer
    | UpdateCustomer
    | ImportSubscription
    | OpeningBalance
    | OverrideTerms
    | Subscribe
    | TrialSetup
    | ChangePlan
    | Cancel
    | UndoCancel
    | Pause
    | Resume
    | ActivateAddon
    | DeactivateAddon
    | AddSeats
    | RemoveSeats
    | SetSeats
    | BuyCreditPack
    | BuyCapacityPack
    | BuyQuotaPack
    | RenewQuotaPack
    | TopUp
    | ConfirmOverage
    | AllocateJobSlot
    | ReleaseJobSlot
    | BuyItem
    | BuyBundle
    | RefundSale
    | Payment
    | PublishCatalog
    | AssignPlan
    | DeletePlan
    | DeleteCustomer
    | GrantCredit
    | RevokeCredit
    | AuditItem
    | IssueCreditNote
    | WriteOff
    | Refund
    | DecideConflict
    | ReleaseHold
)
"""One row of the action log, told apart by `do`."""

MODELS: Final[Mapping[str, type[Action]]] = {
    model.model_fields["do"].default: model for model in Action.__args__
}
"""The model of each `do`."""

FOUNDER_ONLY: Final = frozenset(
    {
        "import_subscription",
        "opening_balance",
        "override_terms",
        "publish_catalog",
        "assign_plan",
        "delete_plan",
        "delete_customer",
        "grant_credit",
        "revoke_credit",
        "audit_item",
        "issue_credit_note",
        "write_off",
        "refund",
        "decide_conflict",
        "release_hold",
    }
)
"""What only the founder may do; from another actor it is refused with `wrong_actor`."""

DERIVED: Final = frozenset({"tax_id_checked_on"})
"""Fields that are found out, never written in a file."""


def may_do(action: Action) -> bool:
    """Whether the actor of an action may take it. Rule ACT-6, `wrong_actor`."""
    return action.actor == "founder" or action.do not in FOUNDER_ONLY


def row_of(action: Action) -> dict[str, Any]:
    """An action as a row of a file, with the fields that were given: text and truth values."""
    return {"do": action.do, **action.model_dump(mode="json", exclude_unset=True)}


def parse_action(record: Mapping[str, Any], *, where: str) -> Action | tuple[Problem, ...]:
    """An action, from one row of a file; or all that is wrong with it.

    takes:   record, with the fields of the action; leaves are text, null or exact values.
             where, the file, and the row if it has several.
    """
    model = MODELS.get(str(record.get("do")))
    if model is None:
        return (_unknown_do(record, where),)
    written = {key: value for key, value in record.items() if key not in DERIVED}
    unknown = _derived_keys(record, where)
    try:
        action = model.model_validate(written)
    except ValidationError as error:
        found = problems_of(error.errors(), model, prefix="ACTION", file=where)
        return (*found, *unknown)
    return (*unknown, *_patch_problems(action, where)) or action


def _patch_problems(action: Action, where: str) -> tuple[Problem, ...]:
    """What is wrong with a patch over a plan, whatever the plan."""
    if isinstance(action, OverrideTerms):
        return patch_problems(action.patch, path="patch", prefix="ACTION", file=where)
    if isinstance(action, ImportSubscription) and action.terms is not None:
        return patch_problems(action.terms, path="terms", prefix="ACTION", file=where)
    return ()


def _unknown_do(record: Mapping[str, Any], where: str) -> Problem:
    if "do" not in record:
        return Problem("ACTION-02", where, "do", "the key 'do' is missing", "say what was done")
    do = str(record["do"])
    return Problem("ACTION-07", where, "do", f"{do!r} is no action", nearest(do, list(MODELS)))


def _derived_keys(record: Mapping[str, Any], where: str) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            "ACTION-01",
            where,
            key,
            f"the key {key!r} is found out from the others and cannot be given",
            f"leave {key!r} out",
        )
        for key in sorted(DERIVED & record.keys())
    )
