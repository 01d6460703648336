"""Plans that the founder deleted, decided before customers are billed apart. Rule CAT-8."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from billing_core.actions import Action, DeletePlan, Outcome, may_do
from billing_core.deleting import delete_plan, deletion_outcome
from billing_core.errors import BillingError
from billing_core.invoice import Invoice
from billing_core.setting import PlanDeletion, Setting


@dataclass(frozen=True, slots=True)
class Deleted:
    """A setting that knows the deletions, what became of each, and those not carried out."""

    setting: Setting
    outcomes: tuple[Outcome, ...] = ()
    unbilled: tuple[tuple[DeletePlan, BillingError], ...] = ()


def with_deletions(
    setting: Setting, actions: Iterable[Action], posted: Sequence[Invoice]
) -> Deleted:
    """The founder's deletions of plans, each decided knowing those before it.

    takes: actions, in the order taken; others than deletions are left out. posted, what is
           posted of everybody.
    """
    outcomes, unbilled = [], []
    for action in actions:
        if not isinstance(action, DeletePlan) or not may_do(action):
            continue
        try:
            decision = delete_plan(action, setting, posted)
        except BillingError as error:
            unbilled.append((action, error))
            continue
        outcomes.append(deletion_outcome(action, decision))
        if isinstance(decision, PlanDeletion):
            setting = replace(setting, deletions=(*setting.deletions, decision))
    return Deleted(setting, tuple(outcomes), tuple(unbilled))
