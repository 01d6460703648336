"""Whether a catalog version leaves out an add-on that somebody has: such a version is refused.

An add-on that is active is paid for period by period, so that it cannot vanish from the
catalog. Whose it is comes out of the fold of those alone who ever asked for it.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from billing_core.actions import Action, ActivateAddon
from billing_core.addons import active
from billing_core.bill import bill
from billing_core.purchasing import is_open
from billing_core.setting import Setting
from billing_core.state import CustomerState
from billing_core.terms import AddonTerms


@dataclass(frozen=True, slots=True)
class Archiving:
    """A version that leaves out an add-on, and a customer who has it, the first by id.

    place: of the version among all of them.
    """

    place: int
    addon: str
    customer_id: str

    def __str__(self) -> str:
        return (
            f"already_active: the version leaves out add-on {self.addon!r}, which customer "
            f"{self.customer_id!r} has; it is not taken"
        )


def first_archiving(
    actions: Mapping[str, Sequence[Action]], setting: Setting, *, until: datetime
) -> Archiving | None:
    """The first version that leaves out an add-on which somebody has when it is published.

    That is who has it active, also over a pause, or has bought it and is about to pay; as far
    as is known by the instant of the version, so that no later action changes the answer.
    takes: actions of everybody, by customer; until, exclusive: later versions are yet to come.
    rule:  ADD-5.
    """
    for place, (before, after) in enumerate(pairwise(setting.versions), start=1):
        gone = before.catalog.addons.keys() - after.catalog.addons.keys()
        if gone and after.effective_at < until:
            known = replace(setting, versions=setting.versions[:place])
            for customer_id in sorted(actions):
                held = gone & _held(customer_id, actions[customer_id], known, after.effective_at)
                if held:
                    return Archiving(place, min(held), customer_id)
    return None


def _held(
    customer_id: str, actions: Sequence[Action], setting: Setting, at: datetime
) -> AbstractSet[str]:
    """The add-ons that a customer has at an instant; none of one who cannot be billed."""
    known = [action for action in actions if action.received_at <= at]
    if not any(isinstance(action, ActivateAddon) for action in known):
        return set()
    answer = bill(customer_id, known, setting, until=at)
    return set() if answer.folded is None else _of(answer.folded.state)


def _of(state: CustomerState) -> AbstractSet[str]:
    held = () if state.subscription is None else active(state.subscription)
    bought = (it.gives for it in state.purchases if is_open(state, it))
    waiting = (gives.code for gives in bought if isinstance(gives, AddonTerms))
    return {*(it.terms.code for it in held), *waiting}
