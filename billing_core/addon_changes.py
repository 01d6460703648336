"""Add-ons activated and deactivated by an action.

An activation is charged for what is left of the period, alone and at once; a deactivation
gives nothing back. What a held add-on means for windows and periods is in `addons`.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from billing_core.actions import ActivateAddon, DeactivateAddon, ReasonCode
from billing_core.addons import active, base_line, fits, held_addon, with_addon
from billing_core.catalog import Catalog
from billing_core.cycle import UNIT, paid_period
from billing_core.drawing import addon_not_drawn
from billing_core.invoice import InvoiceType
from billing_core.issuing import Cause, day_of
from billing_core.lateness import passed_over
from billing_core.period import Period, Span
from billing_core.purchasing import is_open, purchased
from billing_core.setting import Setting
from billing_core.state import CustomerState, HeldAddon, Status, Subscription
from billing_core.step import Refused, Step, refused
from billing_core.subscribing import NotBilledYet
from billing_core.terms import AddonTerms

_NOT_RUNNING = "add-ons belong to a running subscription; there is none"
CANNOT_CHANGE: Mapping[Status, tuple[ReasonCode, str]] = {
    Status.CANCELED: (ReasonCode.NOT_SUBSCRIBED, _NOT_RUNNING),
    Status.EXPIRED: (ReasonCode.NOT_SUBSCRIBED, _NOT_RUNNING),
    Status.PENDING_PAYMENT: (ReasonCode.NOT_SUBSCRIBED, "the checkout is unpaid; pay it first"),
    Status.PAUSED: (ReasonCode.NOT_SUBSCRIBED, "the subscription is paused; resume it first"),
}


def activate_addon(
    state: CustomerState, action: ActivateAddon, at: datetime, setting: Setting
) -> Step:
    """An add-on for the rest of the period, at the catalog's terms. Rules ADD-1, ADD-2, ADD-6.

    In a trial it costs nothing, nor a second time in a period that is paid for.
    raises: NotBilledYet.
    """
    subscription = _running(state)
    if isinstance(subscription, Refused):
        return Step(state, subscription)
    addon = _wanted(state, subscription, action, at, setting)
    if isinstance(addon, Refused):
        return Step(state, addon)
    _only_built(addon, setting.version_at(at).catalog, subscription)
    before = held_addon(subscription, addon.code)
    if before is not None and before.is_paid:
        again = replace(before, is_active=True, spans=(*before.spans, Span(at)))
        return Step(_with(state, again))
    if subscription.status is Status.TRIALING:
        spans = (*(() if before is None else before.spans), Span(at))
        return Step(_with(state, HeldAddon(addon, at, spans=spans)))
    day = day_of(setting, state, at)
    period = paid_period(subscription)
    line = base_line(
        subscription.terms,
        addon,
        Period(day, period.end),
        unit=UNIT[subscription.terms.interval or "monthly"],
        of=period,
    )
    cause = Cause(InvoiceType.ADDON_ACTIVATION, action.id, at, day)
    is_late = passed_over(action, setting) is not None
    return purchased(
        state, subscription, cause, line, gives=addon, setting=setting, is_late=is_late
    )


def deactivate_addon(
    state: CustomerState, action: DeactivateAddon, at: datetime, setting: Setting
) -> Step:
    """An add-on ended at once; nothing is given back. Rules ADD-2, ADD-6."""
    subscription = _running(state)
    if isinstance(subscription, Refused):
        return Step(state, subscription)
    held = held_addon(subscription, action.addon)
    if held is not None and held.is_active:
        *before, last = held.spans
        ended = () if last.start_at == at else (replace(last, end_at=at),)
        return Step(_with(state, replace(held, is_active=False, spans=(*before, *ended))))
    addons = setting.version_at(at).catalog.addons
    if held is None and action.addon not in addons:
        return Step(state, _unknown(action.addon, addons))
    return refused(
        state, ReasonCode.INACTIVE, f"add-on {action.addon!r} is not active; nothing was ended"
    )


def _running(state: CustomerState) -> Subscription | Refused:
    subscription = state.subscription
    if subscription is None:
        return Refused(ReasonCode.NOT_SUBSCRIBED, _NOT_RUNNING)
    if subscription.status in CANNOT_CHANGE:
        return Refused(*CANNOT_CHANGE[subscription.status])
    return subscription


def _wanted(
    state: CustomerState,
    subscription: Subscription,
    action: ActivateAddon,
    at: datetime,
    setting: Setting,
) -> AddonTerms | Refused:
    """The terms of the add-on, or why it cannot be had. The first reason counts. Rule ADD-1."""
    version, terms = setting.version_at(at), subscription.terms
    code, currency = action.addon, terms.currency.code
    if code not in version.catalog.addons:
        return _unknown(code, version.catalog.addons)
    if terms.is_free:
        what = f"plan {terms.plan!r} is free; take a paid plan to have add-ons"
        return Refused(ReasonCode.PLAN_NOT_ELIGIBLE, what)
    offered = version.addon_for(code, terms)
    if offered is None:
        what = f"add-on {code!r} has no price in {currency}"
        return Refused(ReasonCode.CURRENCY_NOT_AVAILABLE, what)
    if not fits(offered, terms):
        what = (
            f"add-on {code!r} is {offered.model}, plan {terms.plan!r} is {terms.consumption_model}"
        )
        return Refused(ReasonCode.INCOMPATIBLE_ADDON, what)
    return _already(state, subscription, offered) or offered


def _already(state: CustomerState, subscription: Subscription, addon: AddonTerms) -> Refused | None:
    """Why there is nothing to activate: the feature is there, or comes with a payment."""
    feature, terms = addon.feature, subscription.terms
    if feature.code in terms.by_code:
        what = f"plan {terms.plan!r} has {feature.name} already"
        return Refused(ReasonCode.ALREADY_ACTIVE, what)
    for held in active(subscription):
        if held.terms.feature.code == feature.code:
            what = f"{feature.name} is there already, by add-on {held.terms.code!r}"
            return Refused(ReasonCode.ALREADY_ACTIVE, what)
    for purchase in state.purchases:
        gives = purchase.gives
        is_same = isinstance(gives, AddonTerms) and gives.feature.code == feature.code
        if is_same and is_open(state, purchase):
            what = f"{feature.name} was bought and waits for its payment"
            return Refused(ReasonCode.ALREADY_ACTIVE, what)
    return None


def _unknown(code: str, addons: Mapping[str, object]) -> Refused:
    known = ", ".join(addons) or "none"
    return Refused(ReasonCode.NOT_FOUND, f"there is no add-on {code!r}; there are: {known}")


def _only_built(addon: AddonTerms, catalog: Catalog, subscription: Subscription) -> None:
    """Nothing is charged for what is not built. Rule PST-4. raises: NotBilledYet."""
    kind, where = addon.feature.type, f"the catalog, addons.{addon.code}"
    if kind == "seats":
        raise NotBilledYet(what="an add-on of seats", where=where)
    if kind == "quota" and addon.feature.price is not None:
        raise NotBilledYet(what="overage of a quota", where=f"{where}.overage")
    unbuilt = addon_not_drawn(catalog, addon.code, subscription.terms.consumption_model)
    if unbuilt is not None:
        raise NotBilledYet(what=unbuilt, where=where)


def _with(state: CustomerState, held: HeldAddon) -> CustomerState:
    subscription = state.subscription
    if subscription is None:
        raise ValueError(f"{state.customer_id} has an add-on without a subscription")
    return replace(state, subscription=with_addon(subscription, held))
