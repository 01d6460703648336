"""How a subscription begins: the checkout, its payment, its first period.

The checkout makes the initial invoice as a draft; its payment opens the first period on
that day (SUB-11). A checkout that is never paid expires and leaves nothing behind.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta

from billing_core.actions import ImportSubscription, ReasonCode, Subscribe
from billing_core.addons import in_window
from billing_core.catalog import Catalog
from billing_core.cycle import charged_period
from billing_core.discounts import (
    LEAST_WITH_CODE,
    discount_asked,
    has_subscribed,
    is_below_minimum,
    trial_offered,
    with_remembered,
)
from billing_core.drawing import not_drawn
from billing_core.errors import BillingError
from billing_core.invoice import Invoice, InvoiceType
from billing_core.issuing import Cause, day_of, issue
from billing_core.money import Money
from billing_core.period import MONTHS, Period, Window, boundary, midnight
from billing_core.seats import is_above_without_price, open_seats
from billing_core.setting import CatalogVersion, Setting
from billing_core.state import ENDED, CustomerState, Status, Subscription
from billing_core.step import Refused, Step, refused
from billing_core.terms import Terms


class NotBilledYet(BillingError):
    """The catalog or an action asks for something that this version does not bill."""

    code = "SCOPE-01"

    def __init__(self, *, what: str, where: str) -> None:
        super().__init__(
            what=f"{what} is not billed by this version",
            where=where,
            mend="bill this customer elsewhere until it is, or change the catalog; "
            "nothing was charged and all other customers were billed",
        )


def subscribe(state: CustomerState, action: Subscribe, at: datetime, setting: Setting) -> Step:
    """A new subscription: active at once when free or nothing is due, else a checkout.

    rule: SUB-1, SUB-2, SUB-4, SUB-7, CAT-3, CAT-7, SEAT-5, OFR-1, PRM-1.
    """
    terms = terms_asked(state, action, setting.version_at(at), setting)
    if isinstance(terms, Refused):
        return Step(state, terms)
    unfit = seats_fit(action, terms)
    if unfit is not None:
        return Step(state, unfit)
    only_built(terms.plan, setting.version_at(at).catalog)
    discount = discount_asked(state, action, terms, at, setting=setting)
    trial_days = 0 if has_subscribed(state) else trial_offered(terms, setting.version_at(at))
    if isinstance(discount, Refused):
        return Step(state, discount)
    state = with_remembered(state)
    subscription = Subscription(
        id=action.id,
        status=Status.PENDING_PAYMENT,
        terms=terms,
        anchor=day_of(setting, state, at),
        seats=open_seats(terms, action.seats or {}),
        discount=discount,
        promo_code=action.promo_code,
        trial_days=trial_days,
    )
    if terms.is_free:
        return Step(_with(state, opened(state, subscription, at, setting)))
    return _checkout(state, subscription, at, setting)


def open_first_period(
    state: CustomerState, subscription: Subscription, at: datetime, setting: Setting
) -> Step:
    """The checkout is paid: the first period begins on that billing date. Rule SUB-11."""
    day, checkout = day_of(setting, state, at), subscription.checkout
    if checkout is None:
        raise ValueError(f"subscription {subscription.id} has no checkout")
    first = opened(state, replace(subscription, anchor=day), at, setting)
    first, charges = charged_period(first, setting, at)
    state, invoice = issue(state, first, _cause(first, at, day, checkout), charges, setting)
    return Step(_with(state, replace(first, invoice_id=invoice.id)), invoices=(invoice,))


def only_built(code: str, catalog: Catalog) -> None:
    """Nothing is charged for what is not built. Rule PST-4. raises: NotBilledYet."""
    plan, where = catalog.plans[code], f"the catalog, plans.{code}"
    unbuilt = not_drawn(catalog, code)
    if unbuilt is not None:
        raise NotBilledYet(what=unbuilt[1], where=f"{where}.{unbuilt[0]}")
    for name, held in plan.features.items():
        is_quota = catalog.features[name].type == "quota"
        if is_quota and held.overage is not None and held.overage.mode == "charge":
            raise NotBilledYet(what="overage of a quota", where=f"{where}.features.{name}.overage")


def expire_checkout(state: CustomerState, subscription: Subscription) -> Step:
    """A checkout that was not paid in time: expired, without invoice. Rules SUB-8, PAY-0."""
    expired = replace(
        subscription, status=Status.EXPIRED, checkout=None, settled_at=subscription.expires_at
    )
    return Step(_with(state, expired))


def _checkout(
    state: CustomerState, subscription: Subscription, at: datetime, setting: Setting
) -> Step:
    """The initial invoice as a draft that waits for its payment, where it needs one.

    A trial makes none: it waits for its setup. With a code, what counts is the first invoice
    as it would be now.
    rule: SUB-3, SUB-4, SUB-8, PRM-1, PAY-0, TAX-2.
    """
    day = subscription.anchor
    first = opened(state, subscription, at, setting)
    _, charges = charged_period(first, setting, at)
    if subscription.promo_code is not None and is_below_minimum(charges):
        return refused(
            state,
            ReasonCode.BELOW_MINIMUM,
            f"with code {subscription.promo_code} the checkout comes to less than "
            f"{LEAST_WITH_CODE} {subscription.terms.currency}; subscribe without it, or with more",
        )
    days = setting.policies_at(at).checkout_days
    waiting = replace(subscription, expires_at=at + timedelta(days=days))
    if waiting.trial_days:
        return Step(_with(state, waiting))
    drafted, draft = issue(state, first, _cause(first, at, day, None), charges, setting)
    waiting = replace(waiting, checkout=replace(draft, is_postable=False, billing_day=day))
    if drafted.invoices[-1].unpaid.minor <= 0:
        return open_first_period(state, waiting, at, setting)
    return Step(_with(state, waiting))


def _cause(subscription: Subscription, at: datetime, day: date, checkout: Invoice | None) -> Cause:
    return Cause(
        InvoiceType.INITIAL,
        subscription.id,
        at,
        day,
        period=subscription.period,
        id_day=day if checkout is None else checkout.billing_day,
    )


def opened(
    state: CustomerState, subscription: Subscription, at: datetime, setting: Setting
) -> Subscription:
    """The subscription in its first period and window, which begins at the instant. CNV-9."""
    start, terms = subscription.anchor, subscription.terms
    own = None if state.customer is None else state.customer.time_zone
    zone = setting.zone_of(own, at)
    end = boundary(start, 1)
    months = MONTHS[terms.interval] if terms.interval else 1
    window = Window(start, end, at, midnight(end, zone))
    return replace(
        subscription,
        status=Status.ACTIVE,
        window=window,
        addons=in_window(subscription.addons, window),
        time_zone=setting.zone_name(own, at),
        period=Period(start, boundary(start, months)),
        plan_charge=Money(0, terms.currency),
        checkout=None,
        expires_at=None,
    )


def _with(state: CustomerState, subscription: Subscription) -> CustomerState:
    return replace(state, subscription=subscription)


def terms_asked(
    state: CustomerState,
    action: Subscribe | ImportSubscription,
    version: CatalogVersion,
    setting: Setting,
) -> Terms | Refused:
    """The terms of the plan asked for, or why it cannot be had. The first reason counts."""
    catalog, running = version.catalog, state.subscription
    if running is not None and running.status not in ENDED:
        return Refused(
            ReasonCode.ALREADY_SUBSCRIBED,
            f"subscription {running.id} is {running.status}; cancel it or change its plan",
        )
    at, plan = action.at, catalog.plans.get(action.plan)
    if setting.plan_at(action.plan, at) is None:
        plan = None
    if plan is None or not (plan.public or action.actor == "founder"):
        known = ", ".join(
            code for code, it in catalog.plans.items() if it.public and setting.plan_at(code, at)
        )
        return Refused(
            ReasonCode.PLAN_NOT_AVAILABLE,
            f"plan {action.plan!r} is not on offer; on offer: {known}",
        )
    if not plan.free and action.interval not in plan.prices:
        return Refused(
            ReasonCode.INTERVAL_NOT_AVAILABLE,
            f"plan {action.plan!r} has no price for interval {action.interval}; "
            f"it has {', '.join(plan.prices)}",
        )
    interval = None if plan.free else action.interval
    currency = action.currency or _local_currency(state, action, version, setting)
    on = day_of(setting, state, at)
    if isinstance(action, ImportSubscription):
        on = action.period[0]
    terms = version.terms_on(action.plan, interval, currency, on=on)
    if terms is None:
        return Refused(
            ReasonCode.CURRENCY_NOT_AVAILABLE, f"plan {action.plan!r} has no price in {currency}"
        )
    return terms


def _local_currency(
    state: CustomerState,
    action: Subscribe | ImportSubscription,
    version: CatalogVersion,
    setting: Setting,
) -> str:
    """The billing country's currency if the plan is priced in it, else the catalog's. CUR-1."""
    country = None if state.customer is None else state.customer.country
    local = setting.local_currencies.get(country or "", version.catalog.currency)
    is_priced = (action.plan, action.interval, local) in version.terms
    return local if is_priced else version.catalog.currency


def seats_fit(action: Subscribe | ImportSubscription, terms: Terms) -> Refused | None:
    """Why the seats asked for cannot be had, or None. Rules SEAT-3, SEAT-5."""
    for code, held in (action.seats or {}).items():
        feature = terms.by_code.get(code)
        if feature is None or feature.type != "seats":
            return Refused(
                ReasonCode.FEATURE_NOT_IN_PLAN,
                f"plan {terms.plan!r} has no seats feature {code!r}",
            )
        if held < 0:
            return Refused(ReasonCode.NEGATIVE_SEATS, f"{held} seats of {code!r}")
        if is_above_without_price(feature, held):
            return Refused(
                ReasonCode.SEATS_NOT_INCLUDED,
                f"plan {terms.plan!r} includes {feature.included} {code!r} and sells no more",
            )
    return None
