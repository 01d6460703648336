"""What is on offer to one subscription at an instant: the catalog, and what was negotiated.

Negotiated terms are patches over the plan. The catalog's other fields follow its versions;
a field that was negotiated is the patch's until that ends. When an offer reaches a running
period is decided by `fairness`.
"""

import json
from collections.abc import Iterable
from datetime import datetime

from billing_core.catalog import Plan
from billing_core.errors import BillingError, Problem
from billing_core.patches import patched_plan
from billing_core.period import midnight
from billing_core.setting import NEVER, CatalogVersion, Setting, with_plan
from billing_core.state import Negotiated, Subscription


class NegotiatedTermsDoNotFit(BillingError):
    """A catalog version came into force over whose plan the negotiated terms make no plan."""

    code = "TERMS-01"

    def __init__(self, negotiated: Negotiated, problem: Problem) -> None:
        super().__init__(
            what=f"what was negotiated no longer fits plan {negotiated.plan!r}: {problem.what}",
            where=f"action {negotiated.id}, {problem.path}",
            mend=f"{problem.mend}: land override_terms with an empty patch, which ends it, or "
            "publish a catalog version over whose plan it fits",
        )


def version_for(subscription: Subscription, setting: Setting, at: datetime) -> CatalogVersion:
    """The catalog version in force for a subscription, its plan as negotiated by then. FAIR-4.

    raises: NegotiatedTermsDoNotFit.
    """
    version = setting.version_at(at)
    standing = _standing(subscription.negotiated, at)
    offered = negotiated_version(version, standing)
    if isinstance(offered, CatalogVersion):
        return offered
    raise NegotiatedTermsDoNotFit(standing[-1], offered[0])


def offers_within(
    subscription: Subscription,
    setting: Setting,
    since: datetime,
    *,
    until: datetime,
    is_included: bool,
) -> list[tuple[datetime, CatalogVersion]]:
    """What was offered to a subscription since an instant, each from its own instant on.

    takes:   until, an instant; is_included, whether what begins at that very instant counts.
             What begins at the first instant is among them: it may have been agreed on after
             the period had begun.
    returns: in order of time: each catalog version, and each beginning and end of what was
             negotiated; without those where it does not fit.
    """
    given = {version.effective_at for version in setting.versions}
    for it in subscription.negotiated:
        given |= {it.since_at, it.until_at or NEVER}
    found = []
    for at in sorted(given):
        if since <= at <= until and (is_included or at < until):
            version, standing = setting.version_at(at), _standing(subscription.negotiated, at)
            offered = negotiated_version(version, standing)
            if isinstance(offered, CatalogVersion):
                found.append((at, offered))
    return found


def negotiated_version(
    version: CatalogVersion, standing: Iterable[Negotiated]
) -> CatalogVersion | tuple[Problem, ...]:
    """A version whose plan is patched by what was negotiated, the later over the earlier.

    takes:   standing, patches of one plan.
    returns: a plan that the version no longer has stays away; what is wrong where the plan
             would make no sense.
    """
    catalog, patches = version.catalog, list(standing)
    code = patches[-1].plan if patches else ""
    if code not in catalog.plans:
        return version
    trees = [json.loads(it.patch) for it in patches]
    patched = patched_plan(catalog, code, trees, file=f"action {patches[-1].id}")
    if not isinstance(patched, Plan):
        return patched
    changed = catalog.model_copy(update={"plans": {**catalog.plans, code: patched}})
    return with_plan(version, changed, code)


def still_negotiated(subscription: Subscription, plan: str, at: datetime) -> tuple[Negotiated, ...]:
    """What was negotiated and stands on in a period of a plan that begins at an instant.

    It is of its plan alone: on another one it has ended. Rules FAIR-4, CHG-13.
    """
    return tuple(
        it
        for it in subscription.negotiated
        if it.plan == plan and (it.until_at is None or it.until_at > at)
    )


def began_at(subscription: Subscription, setting: Setting) -> datetime:
    """The instant at which the running period began; its terms are what was offered then.

    A period that began in another system begins when it came from there. Rules FAIR-4, CUS-2.
    """
    window, period = subscription.window, subscription.period
    if window is None or period is None:
        raise ValueError(f"subscription {subscription.id} has no running period")
    if period.start == window.start:
        return window.start_at
    if subscription.began_at is not None:
        return subscription.began_at
    start_at = midnight(period.start, setting.zone_of(subscription.time_zone, window.start_at))
    return max(start_at, subscription.moved_in_at or NEVER)


def _standing(negotiated: Iterable[Negotiated], at: datetime) -> list[Negotiated]:
    return [
        it for it in negotiated if it.since_at <= at and (it.until_at is None or at < it.until_at)
    ]
