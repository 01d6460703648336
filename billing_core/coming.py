"""What the end of a period brings: an end, the same plan again, or another one.

A cancellation, a change that waits and the deletion of a plan meet here, and nowhere else.
Nothing is charged here: what becomes of the answer is decided on the boundary.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from billing_core.errors import BillingError
from billing_core.offers import version_for
from billing_core.period import MONTHS
from billing_core.setting import CatalogVersion, Setting
from billing_core.state import CancelReason, Subscription
from billing_core.terms import Terms
from billing_core.values import replace

_NEXT = timedelta(microseconds=1)


class PlanNotPriced(BillingError):
    """A subscription renews on a plan that the catalog no longer prices."""

    code = "PRICE-02"

    def __init__(self, *, plan: str, interval: str | None, currency: str, on: date) -> None:
        super().__init__(
            what=f"plan {plan!r} has no {interval} price in {currency} on {on}",
            where=f"the catalog version in force on {on}, plans.{plan}.prices",
            mend="keep the price while someone is subscribed, or delete the plan with an option",
        )


@dataclass(frozen=True, slots=True)
class Coming:
    """What follows a period. plan: of the next one, None for an end, and why it ends."""

    plan: str | None
    interval: str | None = None
    reason: CancelReason | None = None


def coming(subscription: Subscription, setting: Setting, at: datetime) -> Coming:
    """What the end of the running period brings, by what was decided before an instant.

    A cancellation comes first. A change that the customer waits for stands above the deletion
    of the plan that he leaves; one to a plan that was deleted with an end falls away.
    rule: CHG-10, CHG-13, CAT-8.
    """
    own = subscription.terms
    if subscription.cancel_on is not None:
        return Coming(None, reason=CancelReason.REQUESTED)
    wanted = [(own.plan, own.interval)]
    if subscription.next_plan is not None:
        wanted.insert(0, (subscription.next_plan, subscription.next_interval))
    for plan, interval in wanted:
        lasting = lasting_plan(plan, setting, at)
        if lasting == plan:
            return Coming(plan, interval)
        if lasting is not None:
            return _followed(lasting, interval, setting.version_at(at), own.currency.code)
    return Coming(None, reason=CancelReason.PLAN_DELETED)


def lasting_plan(plan: str, setting: Setting, at: datetime) -> str | None:
    """The plan that one goes on as: itself, or where its deletion before an instant leads.

    returns: None where that is an end. rule: CAT-8, INV-11.
    """
    while (deleted := setting.deletion_of(plan)) is not None and deleted.at < at:
        if deleted.to is None:
            return None
        plan = deleted.to
    return plan


def is_withdrawn(subscription: Subscription, setting: Setting, at: datetime) -> bool:
    """Whether the plan was deleted with option cancel before an instant. Rule CAT-8.

    From then on its windows charge nothing more.
    """
    return bool(setting.deletions) and lasting_plan(subscription.terms.plan, setting, at) is None


def withdrawn_at(subscription: Subscription, setting: Setting) -> datetime | None:
    """From when on a subscription could not go on any more for want of a plan; None for never.

    rule: CAT-8, SUB-5.
    """
    kept = replace(subscription, cancel_on=None)
    return next(
        (it.at for it in setting.deletions if coming(kept, setting, it.at + _NEXT).plan is None),
        None,
    )


def renewal_terms(subscription: Subscription, setting: Setting, at: datetime, on: date) -> Terms:
    """The catalog's terms of the next period, and above them what was negotiated.

    rule:   FAIR-3, FAIR-4, CHG-13, CAT-8, CUR-2.

    takes:  a subscription that goes on; on, the day on which the period begins.
            A free plan that the catalog left out goes on as it was.
    raises: PlanNotPriced, NegotiatedTermsDoNotFit.
    """
    own, what = subscription.terms, coming(subscription, setting, at)
    plan = what.plan or own.plan
    is_own = plan == own.plan
    version = version_for(subscription, setting, at) if is_own else setting.version_at(at)
    terms = version.terms_in(plan, what.interval, own.currency, on=on)
    if terms is None and own.is_free and is_own:
        return own
    if terms is None:
        currency = own.currency.code
        raise PlanNotPriced(plan=plan, interval=what.interval, currency=currency, on=on)
    return terms


def interval_like(
    version: CatalogVersion, plan: str, interval: str | None, currency: str
) -> str | None:
    """The interval at which one who pays by another goes on with a plan. Rule CAT-8.

    takes:   interval, None of a free plan, which counts as a month.
    returns: the same where the plan has it, else the longest shorter one; None without either.
    """
    most = MONTHS[interval or "monthly"]
    priced = (
        it
        for code, it, name in version.terms
        if (code, name) == (plan, currency) and it is not None and MONTHS[it] <= most
    )
    return max(priced, key=MONTHS.__getitem__, default=None)


def _followed(plan: str, interval: str | None, version: CatalogVersion, currency: str) -> Coming:
    """The plan to which a deletion leads, at an interval that it has; as asked where it has none.

    Then there is no price either, and that is said when it is looked for (PRICE-02).
    """
    held = version.catalog.plans.get(plan)
    if held is not None and held.free:
        return Coming(plan)
    return Coming(plan, interval_like(version, plan, interval, currency) or interval or "monthly")
