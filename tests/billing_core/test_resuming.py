"""A kept state is a cache: read again it is the same, and so is what follows from it."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing_core.bill import with_booked
from billing_core.fold import Folded, fold
from billing_core.money import Currency
from billing_core.pricing import Dynamic, Graduated, Package, Percentage, PerUnit, Tier, Volume
from billing_core.resuming import KeptState, keep, resume
from billing_core.setting import CatalogVersion, Setting
from billing_core.state import CustomerState, Subscription
from billing_core.state_text import text_of, text_version, value_of
from billing_core.terms import FeatureTerms, Terms
from tests.billing_core.builders import (
    Used,
    act,
    created,
    day,
    instant,
    ladder,
    paid,
    setting_of,
    subscribed,
    use,
)
from tests.billing_core.test_bill import LATE_USES, MOMENTS, TAXED, histories

END = instant("2027-01-01")
STORY = [created(), subscribed("2026-01-01", seats={"editors": "7"})]

DECIMALS = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False)
FRACTIONS = st.fractions(max_denominator=10**6)
TIERS = st.lists(
    st.builds(Tier, st.none() | FRACTIONS, DECIMALS, DECIMALS, st.text()), max_size=3
).map(tuple)
PRICES = st.one_of(
    st.none(),
    st.builds(PerUnit, DECIMALS),
    st.builds(Package, DECIMALS, DECIMALS, DECIMALS),
    st.builds(Graduated, TIERS),
    st.builds(Volume, TIERS),
    st.builds(Percentage, st.integers()),
    st.builds(Dynamic),
)
CURRENCIES = st.builds(Currency, st.text(max_size=3), st.integers(0, 4))
FEATURES = st.builds(FeatureTerms, price=PRICES, included=st.fractions(), per=st.fractions())


def terms(features: tuple[FeatureTerms, ...], **fields: Any) -> Terms:
    return Terms(features=features, by_code={it.code: it for it in features}, **fields)


TERMS = st.builds(
    terms,
    features=st.lists(FEATURES, max_size=3).map(tuple),
    plan=st.text(),
    plan_name=st.text(),
    consumption_model=st.text(),
    interval=st.none() | st.text(),
    currency=CURRENCIES,
    amount=DECIMALS,
)
SUBSCRIPTIONS = st.builds(
    Subscription, terms=TERMS, period=st.none(), window=st.none(), checkout=st.none()
)
STATES = st.builds(CustomerState, subscription=st.none() | SUBSCRIPTIONS, adjustments=st.just(()))


def fingerprint(version: CatalogVersion) -> str:
    return repr(version.catalog)


@settings(max_examples=200, deadline=None)
@given(state=STATES)
def test_a_state_read_again_is_the_same(state: CustomerState) -> None:
    text = text_of(state, CustomerState)
    again = value_of(text, CustomerState)
    assert again == state
    assert text_of(again, CustomerState) == text
    if state.subscription is not None and again.subscription is not None:
        assert again.subscription.terms.by_code == state.subscription.terms.by_code


@settings(max_examples=60, deadline=None)
@given(story=histories(), uses=st.lists(LATE_USES, max_size=6), at=MOMENTS)
def test_every_state_of_every_history_can_be_read_again(
    story: list[Any], uses: list[Used], at: datetime
) -> None:
    setting = setting_of(TAXED, uses=uses, assumes_payment=False)
    state = fold("acme", story, setting, until=instant(f"{at:%Y-%m-%d %H:%M}")).state
    assert value_of(text_of(state, CustomerState), CustomerState) == state


def test_a_text_tells_its_version() -> None:
    assert text_version(KeptState) != text_version(CustomerState)
    assert len(text_version(KeptState)) == 16
    assert text_of(Decimal("29.00"), Decimal) == '"29.00"'
    assert text_of(Fraction(1, 3), Fraction) == '"1/3"'


def run_setting(uses: list[Used], known_on: date, *, is_paid: bool = True) -> Setting:
    """The setting of a run on a day: it takes in all that has landed by then."""
    return setting_of(
        TAXED, uses=uses, known_on=known_on, takes_later_usage=True, assumes_payment=is_paid
    )


def landed(story: list[Any], on: date) -> list[Any]:
    return [action for action in story if action.received_at.date() <= on]


def posted_on(
    story: list[Any], uses: list[Used], on: date, *, is_paid: bool = True
) -> tuple[Setting, KeptState | None]:
    """What a run and a posting on a day leave: the books, and the state kept in them."""
    setting = run_setting(uses, on, is_paid=is_paid)
    until = instant(str(on)) + timedelta(days=1)
    made = fold("acme", landed(story, on), setting, until=until).invoices
    chosen = [it for it in made if it.is_postable]
    if not chosen:
        return setting, None
    booked = with_booked(setting, chosen)
    boundary_at = max(it.made_at for it in chosen)
    kept = keep("acme", landed(story, on), booked, boundary_at=boundary_at, fingerprint=fingerprint)
    return booked, kept


def later(setting: Setting, on: date) -> Setting:
    """The books of an earlier posting, on a later day."""
    return replace(setting, known_on=on)


def resumed(kept: KeptState, story: list[Any], setting: Setting) -> Folded | None:
    again = value_of(text_of(kept, KeptState), KeptState)
    return resume(again, story, setting, until=END, fingerprint=fingerprint)


def whole(story: list[Any], setting: Setting, kept: KeptState) -> tuple[Folded, Folded]:
    """The history from its first action, and that part of it that lies before a kept state."""
    return (
        fold("acme", story, setting, until=END),
        fold("acme", story, setting, until=kept.until),
    )


def assert_same(told: Folded, from_first: Folded, before: Folded) -> None:
    assert told.state == from_first.state
    for name in ("invoices", "outcomes", "notices", "windows"):
        assert getattr(before, name) + getattr(told, name) == getattr(from_first, name), name


@st.composite
def late_histories(draw: st.DrawFn) -> list[Any]:
    """A history of which some actions arrive later than they take effect."""
    story = draw(histories())
    delays = draw(st.lists(st.integers(0, 60), min_size=len(story), max_size=len(story)))
    return [*story[:2], paid("2026-01-01", ("initial", "2026-01-01"))] + [
        action.model_copy(update={"received_at": action.received_at + timedelta(days=days)})
        for action, days in zip(story[2:], delays[2:], strict=True)
    ]


DAYS = st.integers(0, 330).map(lambda days: date(2026, 1, 2) + timedelta(days=days))


@settings(max_examples=150, deadline=None)
@given(
    story=late_histories(), uses=st.lists(LATE_USES, max_size=6), on=DAYS, wait=st.integers(0, 200)
)
def test_resumed_is_the_same_as_from_the_first_action(
    story: list[Any], uses: list[Used], on: date, wait: int
) -> None:
    """Whatever landed late: where the fold is resumed at all, it makes the same. PST-3."""
    booked, kept = posted_on(story, uses, on)
    now = on + timedelta(days=wait)
    setting, known = later(booked, now), landed(story, now)
    if kept is not None and (told := resumed(kept, known, setting)) is not None:
        assert_same(told, *whole(known, setting, kept))


@settings(max_examples=60, deadline=None)
@given(story=histories(), uses=st.lists(LATE_USES, max_size=6), on=DAYS)
def test_what_comes_in_time_is_always_resumed(story: list[Any], uses: list[Used], on: date) -> None:
    in_time = [replace(item, landed_on=item.at.date()) for item in uses]
    booked, kept = posted_on(story, in_time, on)
    if kept is not None:
        setting = later(booked, date(2026, 12, 31))
        told = resumed(kept, story, setting)
        assert told is not None
        assert_same(told, *whole(story, setting, kept))


APRIL_2 = day("2026-04-02")

LATE_SEATS = act("2026-03-20", "add_seats", "2026-04-05", feature="editors", quantity="2")
OTHER = setting_of(ladder(policies={"grace_hours": "1"})).versions
REACHES_BEFORE: dict[str, tuple[list[Any], list[Used], dict[str, Any]]] = {
    "late seats": ([LATE_SEATS], [], {}),
    "late usage": ([], [use("2026-03-20", "20000", landed_on="2026-04-05")], {}),
    "another catalog": ([], [], {"versions": OTHER}),
    "another posting": ([], [], {"booked": {}}),
}


@pytest.mark.parametrize(
    ("actions", "uses", "changes"), REACHES_BEFORE.values(), ids=REACHES_BEFORE
)
def test_what_reaches_before_the_boundary_is_folded_from_the_first_action(
    actions: list[Any], uses: list[Used], changes: dict[str, Any]
) -> None:
    story, all_uses = [*STORY, *actions], [use("2026-03-10", "12000"), *uses]
    booked, kept = posted_on(story, all_uses, APRIL_2)
    assert kept is not None
    assert resumed(kept, landed(story, APRIL_2), later(booked, APRIL_2)) is not None
    setting = replace(later(booked, day("2026-04-20")), **changes)
    assert resumed(kept, story, setting) is None


def test_a_state_with_a_checkout_that_waits_is_not_kept() -> None:
    story = [created(), subscribed("2026-01-01")]
    setting = run_setting([], day("2026-01-01"), is_paid=False)
    at = instant("2026-01-01")
    assert keep("acme", story, setting, boundary_at=at, fingerprint=fingerprint) is None


def test_nothing_is_resumed_before_the_kept_state() -> None:
    booked, kept = posted_on(STORY, [], APRIL_2)
    assert kept is not None
    early = resume(kept, STORY, booked, until=instant("2026-03-01"), fingerprint=fingerprint)
    assert early is None
