"""Rules SUB-3, SUB-9, CHG-11, OFR-1, SEAT-4: what a trial gives, when it ends, what it costs."""

from copy import deepcopy
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.actions import Action
from billing_core.catalog import Catalog
from billing_core.fold import Folded, fold
from billing_core.period import billing_date, midnight
from billing_core.setting import Setting
from billing_core.state import Status, Subscription
from billing_core.state_text import text_of, value_of
from tests.billing_core.builders import (
    LADDER,
    ZONES,
    act,
    created,
    folded,
    instant,
    invoices,
    ladder,
    outcomes,
    plan_of,
    setting_of,
    subscribed,
    use,
)

CREDITS = plan_of(
    {"images": {"credits_per_unit": "10"}},
    consumption_model="credits",
    prices={"monthly": {"amount": "20.00", "trial_days": "14", "included_credits": "100"}},
)
BALANCE = plan_of(
    {"renders": {"overage": {"unit_price": "0.50"}}},
    consumption_model="balance",
    prices={"monthly": {"amount": "50.00", "trial_days": "14", "included_balance": "10"}},
)
MODELS = {"starter": "api_calls", "credits": "images", "balance": "renders"}
"""A plan of each model, and what is used of it."""


def with_trials(days: int = 14, included: str = "10000", **changes: Any) -> Catalog:
    """The ladder and plans on credits and a balance, each monthly with a trial."""
    plans = deepcopy(LADDER["plans"]) | {"credits": deepcopy(CREDITS), "balance": deepcopy(BALANCE)}
    plans["starter"]["features"]["api_calls"]["included"] = included
    for code in MODELS:
        plans[code]["prices"]["monthly"]["trial_days"] = str(days)
    extra = {
        name: {"type": "metered", "name": name, "unit": "unit"} for name in ("images", "renders")
    }
    features = {**deepcopy(LADDER["features"]), **extra}
    given: dict[str, Any] = {"plans": plans, "features": features, **changes}
    return ladder(**given)


def trial_of(plan: str = "starter", at: str = "2026-03-01", **fields: Any) -> list[Action]:
    """Acme, who subscribes and sets his trial up at once."""
    return [created(), subscribed(at, plan, **fields), act(at, "trial_setup")]


def subscription_of(told: Folded) -> Subscription:
    assert told.state.subscription is not None
    return told.state.subscription


# fmt: off
ENDS = {
    # case                           zone                   set up at, UTC, ends at, UTC
    "in UTC":                       (None, "2026-03-01 15:00", "2026-03-15 00:00"),
    "at midnight":                  (None, "2026-03-01 00:00", "2026-03-15 00:00"),
    "in the last moment of a day":  (None, "2026-03-01 23:59:59", "2026-03-15 00:00"),
    "over the end of February":     (None, "2028-02-20 12:00", "2028-03-05 00:00"),
    "over New Year":                (None, "2026-12-25 12:00", "2027-01-08 00:00"),
    "ahead of UTC":                 ("Asia/Tokyo", "2026-03-01 15:00", "2026-03-15 15:00"),
    "behind UTC":                   ("America/New_York", "2026-02-01 03:00", "2026-02-14 05:00"),
    "clocks go forward":            ("America/New_York", "2026-03-01 15:00", "2026-03-15 04:00"),
    "clocks go back":               ("Europe/Amsterdam", "2026-10-20 12:00", "2026-11-02 23:00"),
    "midnight is skipped":          ("America/Sao_Paulo", "2018-10-21 12:00", "2018-11-04 03:00"),
    "by half an hour":              ("Australia/Lord_Howe", "2026-03-25 12:00", "2026-04-07 13:30"),
}
# fmt: on


@pytest.mark.parametrize(("zone", "at", "ends_at"), ENDS.values(), ids=ENDS)
def test_a_trial_ends_at_local_midnight_after_its_days(
    zone: str | None, at: str, ends_at: str
) -> None:
    story = [created("2015-01-01", time_zone=zone), subscribed(at), act(at, "trial_setup")]
    setting = setting_of(with_trials(effective_at="2015-01-01"))
    trial = subscription_of(fold("acme", story, setting, until=instant(ends_at)))
    assert (trial.status, trial.trial_ends_at) == (Status.TRIALING, instant(ends_at))
    assert trial.window is not None
    assert (trial.window.start_at, trial.window.end_at) == (instant(at), instant(ends_at))
    after = instant(ends_at) + timedelta(microseconds=1)
    told = fold("acme", story, setting, until=after)
    assert subscription_of(told).status is Status.ACTIVE
    assert [it.made_at for it in told.invoices] == [instant(ends_at)]


def test_days_offered_when_subscribing_are_kept_and_what_is_better_at_the_setup_counts() -> None:
    """Rules FAIR-1, FAIR-4: the trial is that of the day of subscription."""
    later = with_trials(3, "20000", effective_at="2026-03-02")
    story = [created(), subscribed("2026-03-01"), act("2026-03-03", "trial_setup")]
    trial = subscription_of(folded(story, setting_of(with_trials(), later), "2026-03-10"))
    assert trial.period is not None
    assert (trial.period.days, trial.terms.by_code["api_calls"].included) == (14, 20_000)


def test_a_plan_that_is_gone_at_the_setup_is_tried_as_it_was() -> None:
    gone = deepcopy(LADDER["plans"])
    gone.pop("starter")
    later = ladder(effective_at="2026-03-02", plans=gone)
    story = [created(), subscribed("2026-03-01"), act("2026-03-03", "trial_setup")]
    told = folded(story, setting_of(with_trials(), later), "2026-03-10")
    assert subscription_of(told).status is Status.TRIALING


def test_a_new_time_zone_counts_from_the_next_window_of_a_trial() -> None:
    """Rule CNV-1: of the last window the end stays where it was."""
    story = [*trial_of(), act("2026-03-10", "update_customer", time_zone="Asia/Tokyo")]
    for days, ends_at in ((14, "2026-03-15 00:00"), (45, "2026-04-14 15:00")):
        setting = setting_of(with_trials(days))
        trial = subscription_of(fold("acme", story, setting, until=instant("2026-04-14")))
        assert trial.trial_ends_at == instant(ends_at)


def test_a_trial_cut_short_ended_when_it_was() -> None:
    for do, fields in (("cancel", {"when": "now"}), ("change_plan", {"interval": "yearly"})):
        told = folded([*trial_of(), act("2026-03-05", do, **fields)], tried(), "2026-03-20")
        assert subscription_of(told).trial_ends_at == instant("2026-03-05")


def tried(days: int = 14, **changes: Any) -> Setting:
    return setting_of(with_trials(days), **changes)


def test_a_change_to_the_free_plan_waits_for_the_end_of_the_trial() -> None:
    """Rule CHG-11: paid to free is at the renewal; a free plan makes no invoice."""
    catalog = with_trials(groups={"all": ["free", "starter"]})
    change = act("2026-03-05", "change_plan", plan="free", id="x")
    told = folded([*trial_of(), change], setting_of(catalog), "2026-03-20")
    assert outcomes(told)["x"] == "scheduled 2026-03-15"
    assert (told.invoices, subscription_of(told).terms.plan) == ((), "free")
    assert subscription_of(told).anchor == date(2026, 3, 15)


def test_a_trial_is_kept_as_text() -> None:
    trial = subscription_of(folded(trial_of(), tried(), "2026-03-10"))
    assert value_of(text_of(trial, Subscription), Subscription) == trial


ENDINGS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "none": None,
    "at its end": ("cancel", {"when": "period_end"}),
    "now": ("cancel", {"when": "now"}),
    "deleted": ("delete_customer", {}),
    "changed": ("change_plan", {"interval": "yearly"}),
}


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Action], int, list[Any], date]:
    """Actions of a trial, its days, what is used in it, and the day on which it ends."""
    plan = draw(st.sampled_from(sorted(MODELS)))
    days = draw(st.integers(1, 100))
    start = draw(st.dates(date(2026, 1, 1), date(2027, 12, 31)))
    zone = draw(st.sampled_from([None, *ZONES]))
    story = [
        created(time_zone=zone),
        subscribed(f"{start} 12:00", plan),
        act(f"{start} 12:00", "trial_setup"),
    ]
    last = start + timedelta(days=days)
    ending = draw(st.sampled_from(sorted(ENDINGS)))
    chosen = ENDINGS[ending]
    if chosen is not None and not (ending == "changed" and plan != "starter"):
        on = start + timedelta(days=draw(st.integers(0, days - 1)))
        story.append(act(f"{on} 12:15", chosen[0], **chosen[1]))
        last = last if ending == "at its end" else on
    if plan == "starter":
        more = draw(st.lists(st.integers(0, 20), max_size=3))
        story += [
            act(f"{start} 12:0{i}", "set_seats", feature="editors", quantity=str(held))
            for i, held in enumerate(more)
        ]
    spread = st.integers(0, max((last - start).days - 1, 0))
    uses = [
        use(f"{start + timedelta(days=on)} 12:30", str(quantity), MODELS[plan])
        for on, quantity in draw(st.lists(st.tuples(spread, st.integers(1, 10**6)), max_size=5))
        if start + timedelta(days=on) < last - timedelta(days=1)
    ]
    return story, days, uses, last


@given(stories())
def test_nothing_used_in_a_trial_is_ever_charged(
    told: tuple[list[Action], int, list[Any], date],
) -> None:
    story, days, uses, last = told
    until = str(last + timedelta(days=70))
    with_use = folded(story, tried(days, uses=uses), until)
    without = folded(story, tried(days), until)
    assert invoices(with_use) == invoices(without)
    assert with_use.state.credits == ()
    assert not [line.type for it in with_use.invoices for line in it.lines if line.amount.minor < 0]
    used = sum(item.used for window in with_use.windows for item in window.usage)
    assert used == sum(item.quantity for item in uses)
    assert not [item for it in with_use.windows for item in it.usage if item.billed]


@given(stories())
def test_windows_of_a_trial_tile_it_and_the_paid_ones_follow(
    told: tuple[list[Action], int, list[Any], date],
) -> None:
    story, days, _, last = told
    whole = folded(story, tried(days), str(last + timedelta(days=70)))
    windows = [closed.window for closed in whole.windows]
    assert all(one.end_at == two.start_at for one, two in pairwise(windows))
    trial_ends_at = subscription_of(whole).trial_ends_at
    assert trial_ends_at is not None
    assert trial_ends_at in {window.end_at for window in windows}
    zone = ZONES[getattr(story[0], "time_zone", None) or "UTC"]
    if len(story) == 3:
        start = billing_date(story[2].at, zone)
        assert trial_ends_at == midnight(start + timedelta(days=days), zone)
        assert whole.invoices[0].billing_day == start + timedelta(days=days)


@given(stories())
def test_credits_and_balance_are_granted_once(
    told: tuple[list[Action], int, list[Any], date],
) -> None:
    story, days, uses, last = told
    whole = folded(story, tried(days, uses=uses), str(last + timedelta(days=70)))
    ends_at = subscription_of(whole).trial_ends_at
    assert ends_at is not None
    resets = [it for it in whole.ledger if it.kind == "reset" and it.at < ends_at]
    assert len(resets) == (story[1].plan != "starter")  # type: ignore[union-attr]
    balance = 0
    for entry in whole.ledger:
        balance += entry.amount  # type: ignore[assignment]
        assert entry.balance_after == balance


def test_the_first_invoice_of_a_trial_takes_customer_credit() -> None:
    grant = act("2026-03-05", "grant_credit", amount="9.00", reason="sorry")
    told = folded([*trial_of(), grant], tried(), "2026-03-15")
    assert invoices(told) == ["2026-03-15 initial: plan_base 29.00; credit sorry -9.00 = 20.00"]


def test_at_the_instant_of_its_end_a_trial_ends_first() -> None:
    """Rule INV-11: a cancellation at that midnight pays for the first period and is credited."""
    story = [*trial_of(), act("2026-03-15", "cancel", when="now", id="x")]
    told = folded(story, tried(), "2026-03-20")
    assert (invoices(told), outcomes(told)["x"]) == (
        ["2026-03-15 initial: plan_base 29.00 = 29.00"],
        "applied",
    )
    assert [str(credit.left) for credit in told.state.credits] == ["29.00 USD"]
