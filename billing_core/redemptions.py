"""Who has a place of a promo code with a cap, settled over all customers at once.

Customers are billed apart, but a cap is shared. So the wishes for capped codes are settled
first, in order of (at, customer id), each by folding just that customer; the fold of
everybody then takes the result as a value.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from billing_core.actions import Action, ImportSubscription, Subscribe
from billing_core.bill import bill
from billing_core.invoice import InvoiceType, LineType
from billing_core.setting import Setting
from billing_core.state import ENDED

INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Person:
    """One customer's actions, and the setting with what is posted for him."""

    actions: Sequence[Action]
    setting: Setting


@dataclass(frozen=True, slots=True)
class _Wish:
    """A `subscribe` with a capped code. Ordered by instant, then customer."""

    at: datetime
    customer_id: str
    action: Subscribe
    code: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A place of a code that is taken, until its checkout ends unpaid; None: for good.

    since: of one that came along from another system (CUS-2); None: from its wish on.
    """

    code: str
    until: datetime | None = None
    since: datetime | None = None


def without_place(people: Mapping[str, Person], until: datetime) -> frozenset[str]:
    """The ids of `subscribe` actions whose code has no place left. Rules PRM-2, ACT-5.

    A place is taken by a subscription that comes about, and given back by a checkout that
    ends unpaid. What is posted stays: a posted redemption has its place before all others,
    and a refusal that a posted invoice knew of stays one. A code that a customer brought along
    from another system has its place from then on.
    takes: people by id; until, exclusive: the end of what is billed.
    """
    wishes = sorted(_wishes(people), key=lambda it: (it.at, it.customer_id, it.action.id))
    kept = {it.action.id for it in wishes if _is_posted(it, people)}
    refused = {it.action.id for it in wishes if _is_refusal_posted(it, people)} - kept
    taken = [_Place(it.code) for it in wishes if it.action.id in kept]
    taken += _brought(people, until)
    for wish in wishes:
        if wish.action.id in kept | refused:
            continue
        person = people[wish.customer_id]
        if _is_full(wish, taken, person.setting):
            refused.add(wish.action.id)
            continue
        own = replace(person.setting, without_place=frozenset(refused))
        place = _place(wish, person.actions, own, until)
        if place is not None:
            taken.append(place)
    return frozenset(refused)


def has_code(action: Action) -> bool:
    """Whether an action brings or asks for a promo code."""
    if isinstance(action, ImportSubscription):
        return action.discount is not None and action.discount.code is not None
    return isinstance(action, Subscribe) and action.promo_code is not None


def _brought(people: Mapping[str, Person], until: datetime) -> Iterator[_Place]:
    """The places of codes that came along with subscriptions that were taken over. Rule CUS-2."""
    for customer_id, person in people.items():
        for action in person.actions:
            if not isinstance(action, ImportSubscription) or action.discount is None:
                continue
            if action.discount.code is None or action.at >= until:
                continue
            end = action.at + INSTANT
            answer = bill(customer_id, person.actions, person.setting, until=end)
            subscription = None if answer.folded is None else answer.folded.state.subscription
            if subscription is not None and subscription.id == action.id:
                yield _Place(action.discount.code, since=action.at)


def _wishes(people: Mapping[str, Person]) -> Iterator[_Wish]:
    """The subscriptions asked for with a code that some version of the catalog caps."""
    for customer_id, person in people.items():
        for action in person.actions:
            if isinstance(action, Subscribe) and action.promo_code is not None:
                codes = (it.catalog.promo_codes for it in person.setting.versions)
                found = (it[action.promo_code] for it in codes if action.promo_code in it)
                is_known = person.setting.versions[0].effective_at <= action.at
                if is_known and any(it.max_redemptions is not None for it in found):
                    yield _Wish(action.at, customer_id, action, action.promo_code)


def _is_posted(wish: _Wish, people: Mapping[str, Person]) -> bool:
    """Whether a posted invoice shows the redemption."""
    return any(
        line.type is LineType.DISCOUNT and line.code == wish.code
        for invoice in people[wish.customer_id].setting.booked.values()
        if f"/{wish.action.id}/" in invoice.id
        for line in invoice.lines
    )


def _is_refusal_posted(wish: _Wish, people: Mapping[str, Person]) -> bool:
    """Whether another subscription was posted that knew of the wish and began beside it."""
    landed_on, setting = wish.action.received_at.date(), people[wish.customer_id].setting
    return any(
        invoice.type is InvoiceType.INITIAL
        and wish.at <= invoice.made_at < _checkout_ends_at(wish, setting)
        and invoice.known_on >= landed_on
        and f"/{wish.action.id}/" not in invoice.id
        for invoice in setting.booked.values()
    )


def _checkout_ends_at(wish: _Wish, setting: Setting) -> datetime:
    return wish.at + timedelta(days=setting.policies_at(wish.at).checkout_days)


def _is_full(wish: _Wish, taken: Sequence[_Place], setting: Setting) -> bool:
    """Whether a code has no place left at the instant of a wish, by the cap of that instant."""
    promo = setting.version_at(wish.at).catalog.promo_codes.get(wish.code)
    if promo is None or promo.max_redemptions is None:
        return False
    held = [it for it in taken if it.code == wish.code and (it.since or wish.at) <= wish.at]
    return sum(it.until is None or it.until > wish.at for it in held) >= promo.max_redemptions


def _place(
    wish: _Wish, actions: Sequence[Action], setting: Setting, until: datetime
) -> _Place | None:
    """The place that a wish takes: none when it is refused, or its customer cannot be billed."""
    last = min(until, _checkout_ends_at(wish, setting) + INSTANT)
    later = sorted(it.at for it in actions if isinstance(it, Subscribe) and it.at > wish.at)
    place = None
    for end in sorted({*(at for at in later if at < last), last}):
        answer = bill(wish.customer_id, actions, setting, until=end)
        subscription = None if answer.folded is None else answer.folded.state.subscription
        if subscription is None or subscription.id != wish.action.id:
            return place
        has_ended = subscription.period is None and subscription.status in ENDED
        place = _Place(wish.code, subscription.settled_at if has_ended else None)
    return place
