"""Whether a plan can be deleted, for all who have it, and with what they go on.

The founder's decision concerns no single customer: it is taken once, before customers are
billed apart, and reaches each of them with the setting. What it makes of a subscription
stands in `coming`.
"""

from collections.abc import Iterable
from datetime import datetime

from billing_core.actions import DeletePlan, Outcome, OutcomeStatus, ReasonCode
from billing_core.catalog import Plan
from billing_core.coming import interval_like
from billing_core.invoice import Invoice
from billing_core.setting import PlanDeletion, Setting
from billing_core.step import Refused
from billing_core.subscribing import only_built


def delete_plan(
    action: DeletePlan, setting: Setting, posted: Iterable[Invoice]
) -> PlanDeletion | Refused:
    """The deletion of a plan, or why it is refused.

    takes:  setting, with the deletions before this one; posted, what is posted of everybody.
    rule:   CAT-8, ACT-4.
    raises: NotBilledYet, where the plan to go on with has something that is not billed.
    """
    plan = _last_known(action.plan, action.at, setting)
    if plan is None or setting.deletion_of(action.plan) is not None:
        what = f"there is no plan {action.plan!r} to delete"
        return Refused(ReasonCode.PLAN_NOT_AVAILABLE, what)
    passed = passed_over(action, plan, posted)
    if passed is not None:
        return Refused(
            ReasonCode.LATE_ACTION,
            f"invoice {passed.id} was posted without it; send it with today's date",
        )
    unfit = None if action.to is None else _unfit(action, plan, setting)
    return unfit or PlanDeletion(action.id, action.at, action.plan, action.to)


def passed_over(action: DeletePlan, plan: Plan, posted: Iterable[Invoice]) -> Invoice | None:
    """The last posted invoice that the deletion would change: of the plan, made without it.

    On a free plan no invoice shows who has it, so that each one counts.
    rule: ACT-1, ACT-4.
    """
    landed_on = action.received_at.date()
    over = [
        it
        for it in posted
        if it.made_at > action.at
        and it.known_on < landed_on
        and (plan.free or it.plan == action.plan)
    ]
    return max(over, key=lambda it: (it.made_at, it.id), default=None)


def deletion_outcome(action: DeletePlan, decision: PlanDeletion | Refused) -> Outcome:
    """What became of a deletion as a whole. Rule FAIR-10."""
    is_refused = isinstance(decision, Refused)
    done = f"plan {action.plan} is deleted; it ends with the running period of each who has it"
    return Outcome(
        action_id=action.id,
        customer_id=None,
        status=OutcomeStatus.REFUSED if is_refused else OutcomeStatus.APPLIED,
        what=decision.what if isinstance(decision, Refused) else done,
        at=action.at,
        received_at=action.received_at,
        reason=decision.reason if isinstance(decision, Refused) else None,
    )


def _last_known(code: str, at: datetime, setting: Setting) -> Plan | None:
    """A plan as the catalog has it at an instant, or had it when it last was there."""
    return next(
        (
            it.catalog.plans[code]
            for it in reversed(setting.versions)
            if it.effective_at <= at and code in it.catalog.plans
        ),
        None,
    )


def _unfit(action: DeletePlan, plan: Plan, setting: Setting) -> Refused | None:
    """Why those who have a plan cannot go on with another; None where all of them can."""
    code, version = action.to or "", setting.version_at(action.at)
    target = setting.plan_at(code, action.at)
    if target is None or code == action.plan:
        return Refused(ReasonCode.PLAN_NOT_AVAILABLE, f"plan {code!r} cannot be had")
    if target.consumption_model != plan.consumption_model:
        what = f"plan {action.plan!r} is on {plan.consumption_model}, {code!r} on "
        return Refused(ReasonCode.WRONG_MODEL, f"{what}{target.consumption_model}")
    only_built(code, version.catalog)
    if target.free:
        return None
    sold = {name for it, _, name in version.terms if it == code}
    asked = {
        (interval, name)
        for it in setting.versions
        for own, interval, name in it.terms
        if own == action.plan and it.effective_at <= action.at
    }
    for interval, name in sorted(asked, key=str):
        if name not in sold:
            what = f"plan {code!r} has no price in {name}, in which {action.plan!r} is sold"
            return Refused(ReasonCode.CURRENCY_NOT_AVAILABLE, what)
        if interval_like(version, code, interval, name) is None:
            what = f"plan {code!r} has no price for {interval or 'a month'}, nor for less"
            return Refused(ReasonCode.INTERVAL_NOT_AVAILABLE, what)
    return None
