"""How the subscription of a customer comes over from another billing system.

It is taken as it stands: its anchor and its period go on, what was paid there counts as paid
(at its terms less its discount, and so unused days are credited), and what was used before the
instant stays with the other system. From then on it is a subscription as any other.
"""

from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction

from billing_core.actions import ImportSubscription, ReasonCode
from billing_core.cycle import charged_period
from billing_core.discounts import with_remembered
from billing_core.drawing import CREDITS, unit_of
from billing_core.invoice import InvoiceType
from billing_core.issuing import Cause, day_of, invoice_id_of, issue
from billing_core.money import Money
from billing_core.negotiating import negotiated_by, no_plan, unfit_patch
from billing_core.offers import negotiated_version
from billing_core.period import Period, Window, boundary, midnight, months_before
from billing_core.seats import open_seats
from billing_core.setting import CatalogVersion, Setting
from billing_core.state import CustomerState, Discount, Funds, Negotiated, Status, Subscription
from billing_core.step import Refused, Step
from billing_core.subscribing import only_built, seats_fit, terms_asked
from billing_core.terms import Terms


def import_subscription(
    state: CustomerState, action: ImportSubscription, at: datetime, setting: Setting
) -> Step:
    """A subscription in its running period; one that is not paid for is charged at once.

    The running window begins at the instant, with all that the plan includes.
    raises: NotBilledYet.
    rule:   CUS-2, SUB-1, SEAT-5, LED-1.
    """
    agreed, version = _agreed(action, at), setting.version_at(at)
    offered = negotiated_version(version, agreed)
    if not isinstance(offered, CatalogVersion):
        return Step(state, no_plan(offered))
    terms = terms_asked(state, action, offered, setting)
    if isinstance(terms, Refused):
        return Step(state, terms)
    day = day_of(setting, state, at)
    no = seats_fit(action, terms) or _unfit(action, terms, agreed, version, day=day)
    if no is not None:
        return Step(state, no)
    only_built(terms.plan, version.catalog)
    state = with_remembered(state)
    subscription = _taken_over(state, action, terms, at, setting=setting)
    moved = replace(subscription, negotiated=agreed)
    brought = _brought(state, action, terms)
    if terms.is_free:
        return Step(replace(state, subscription=moved), brought=brought)
    charged, lines = charged_period(moved, setting, at)
    if action.paid_through == action.period[1]:
        paid = replace(charged, discount=moved.discount)
        return Step(replace(state, subscription=paid), brought=brought)
    cause = Cause(InvoiceType.RECURRING, action.id, at, day, period=moved.period)
    charged = replace(charged, invoice_id=invoice_id_of(state, cause))
    state, invoice = issue(state, charged, cause, lines, setting)
    return Step(replace(state, subscription=charged), invoices=(invoice,), brought=brought)


def _agreed(action: ImportSubscription, at: datetime) -> tuple[Negotiated, ...]:
    """The terms that came along, which stand without end. Rules CUS-2, FAIR-4."""
    if not action.terms:
        return ()
    return (negotiated_by(action.id, action.plan, action.terms, at, None),)


def _unfit(
    action: ImportSubscription,
    terms: Terms,
    agreed: tuple[Negotiated, ...],
    version: CatalogVersion,
    *,
    day: date,
) -> Refused | None:
    """Why the subscription cannot be taken over as it is told, or None. Rule CUS-2."""
    start, end = action.period
    if not start <= day < end:
        what = f"the period {start} to {end} does not run on {day}; give the one that does"
        return Refused(ReasonCode.INTERVAL_NOT_AVAILABLE, what)
    if action.paid_through not in action.period and not terms.is_free:
        what = (
            f"the period is paid through {action.paid_through}, and a part of one is not charged "
            f"by this version: charge its rest elsewhere and give {end}, or give {start} where "
            "nothing of it is paid"
        )
        return Refused(ReasonCode.INTERVAL_NOT_AVAILABLE, what)
    model = terms.consumption_model
    for name, of in (("credits", "credits"), ("balance", "balance")):
        if getattr(action, name) is not None and model != of:
            what = f"{name} come to a plan of the model {of}; {terms.plan!r} is {model}"
            return Refused(ReasonCode.WRONG_MODEL, what)
    if agreed and action.terms:
        return unfit_patch(terms, action.terms, version, agreed)
    return None


def _taken_over(
    state: CustomerState,
    action: ImportSubscription,
    terms: Terms,
    at: datetime,
    *,
    setting: Setting,
) -> Subscription:
    """The subscription as if it had always been here, its window cut to what is billed here.

    rule: CNV-3, CUS-2.
    """
    own = None if state.customer is None else state.customer.time_zone
    day = day_of(setting, state, at)
    months = months_before(action.anchor, day)
    end = boundary(action.anchor, months + 1)
    return Subscription(
        id=action.id,
        status=Status.ACTIVE,
        terms=terms,
        anchor=action.anchor,
        months=months,
        period=Period(*action.period),
        window=Window(day, end, at, midnight(end, setting.zone_of(own, at))),
        time_zone=setting.zone_name(own, at),
        seats=open_seats(terms, action.seats),
        plan_charge=Money(0, terms.currency),
        discount=_discount(action),
        promo_code=None if action.discount is None else action.discount.code,
        moved_in_at=at,
    )


def _discount(action: ImportSubscription) -> Discount | None:
    """The discount with the cycles that are left after what is paid. Rule OFR-2."""
    brought = action.discount
    if brought is None:
        return None
    is_percentage = brought.type == "percentage"
    return Discount(
        code=brought.code,
        percent_bp=int(brought.value) if is_percentage else None,
        amount=Fraction(0) if is_percentage else Fraction(brought.value),
        cycles_left=brought.cycles,
        name=None if brought.code else "Discount",
    )


def _brought(state: CustomerState, action: ImportSubscription, terms: Terms) -> Funds | None:
    """Credits or balance that came along; None where the window begins with the included.

    Bought credits add to those of an earlier subscription. Rules CRD-2, LED-1.
    """
    unit = unit_of(terms)
    bought = Fraction(0) if state.funds is None else state.funds.purchased
    if action.balance is not None:
        return Funds(unit, Fraction(action.balance), bought)
    if action.credits is None or unit != CREDITS:
        return None
    own = action.credits.plan
    plan = terms.included_funds if own is None else Fraction(own)
    return Funds(unit, plan, bought + Fraction(action.credits.purchased))
