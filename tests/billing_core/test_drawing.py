"""Rules CRD-1, CRD-4, BAL-1 to BAL-6, LED-1, LED-2, USE-6: a window drawn stretch by stretch."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.drawing import CREDITS, Drawn, Stretch, attributed, draw, stretches
from billing_core.errors import NegativeQuantity
from billing_core.period import Window
from billing_core.pricing import PerUnit, Volume
from billing_core.state import Addition, Funds
from billing_core.terms import Terms, with_lower_costs
from billing_core.usage import TokenUse, Usage, WindowKey
from tests.billing_core.builders import day, feature_terms, instant, snapshot, terms_with

APRIL = Window(day("2026-04-01"), day("2026-05-01"), instant("2026-04-01"), instant("2026-05-01"))
CUTOFF = day("2026-05-01")
NONE = Fraction(0)

IMAGES = feature_terms("images", price=None, credits_per_unit=Decimal(10), included=NONE)
EXPORTS = feature_terms("exports", price=None, credits_per_unit=Decimal("0.3"), included=NONE)
STUDIO = terms_with(EXPORTS, IMAGES, consumption_model="credits", included_funds=Fraction(500))

CHAT = feature_terms("chat", price=None, is_ai=True, margin_bp=2000, included=NONE, unit="token")
RENDERS = feature_terms("renders", price=PerUnit(Decimal("0.50")), included=NONE)
BUILD = terms_with(CHAT, RENDERS, consumption_model="balance", included_funds=Fraction(10))

Uses = list[tuple[str, str, str]]


def bought(at: str, amount: int, kind: str = "purchase") -> Addition:
    when = instant(at)
    return Addition("acme", when, when.date(), kind, Fraction(amount), "p", "Pack")


def drawn(
    terms: Terms,
    uses: Uses,
    *,
    included: int,
    additions: tuple[Addition, ...] = (),
    is_blocking: bool = True,
    purchased: int = 0,
) -> Drawn:
    """April drawn; uses as (instant, feature, quantity)."""
    unit = CREDITS if terms.consumption_model == "credits" else "USD"
    keys = [
        (it, WindowKey("acme", it.start_at, it.end_at, CUTOFF))
        for it in stretches(APRIL, UTC, [addition.at for addition in additions])
    ]
    return draw(
        terms,
        Funds(unit, Fraction(included), Fraction(purchased), additions),
        keys,
        usage_of(uses, keys),
        service=APRIL.period,
        is_blocking=is_blocking,
        per_event=False,
    )


def usage_of(uses: Uses, keys: list[tuple[Stretch, WindowKey]]) -> Usage:
    usage: dict[WindowKey, dict[str, object]] = {}
    for _, key in keys:
        sums: dict[str, Decimal] = {}
        for at, feature, quantity in uses:
            if key.start_at <= instant(at) < key.end_at:
                sums[feature] = sums.get(feature, Decimal(0)) + Decimal(quantity)
        usage[key] = {code: of_feature(code, it) for code, it in sums.items()}
    return usage  # type: ignore[return-value]


def of_feature(code: str, quantity: Decimal) -> object:
    found = snapshot(str(quantity), code)
    if code != "chat":
        return found
    prices = (Decimal(3), Decimal(15), Decimal(0), Decimal(0))
    return replace(found, tokens=(TokenUse("a/x", (int(quantity), 0, 0, 0), prices),))


def entries(it: Drawn) -> list[tuple[str, str, str, str]]:
    return [(str(e.on), e.kind, str(e.amount), str(e.balance_after)) for e in it.entries]


def went(it: Drawn) -> dict[str, tuple[str, str, str]]:
    """By feature: from what is included, billed, blocked."""
    return {
        u.feature: (str(u.from_included), str(u.billed), str(u.blocked)) for u in it.rated.usage
    }


def test_plan_credits_go_first_then_bought_ones() -> None:
    """Rule CRD-1."""
    found = drawn(STUDIO, [("2026-04-05", "images", "51")], included=500, purchased=30)
    assert found.left.plan == 0
    assert found.left.purchased == 20
    assert went(found)["images"] == ("51", "0", "0")


@pytest.mark.parametrize(
    ("quantity", "paid", "blocked"),
    [
        ("49", "49", "0"),
        ("50", "50", "0"),
        ("50.000000001", "50", "1/1000000000"),
        ("51", "50", "1"),
    ],
)
def test_credits_stop_at_zero(quantity: str, paid: str, blocked: str) -> None:
    """Rules CRD-1, CRD-4."""
    found = drawn(STUDIO, [("2026-04-05", "images", quantity)], included=500)
    assert went(found)["images"] == (paid, "0", blocked)


def test_the_part_of_a_unit_that_can_be_paid_is_rounded_down_and_the_rest_is_drawn() -> None:
    """Rule CRD-4: 1 / 0.3 units have nine decimals, and nothing is left."""
    found = drawn(STUDIO, [("2026-04-05", "exports", "9")], included=1)
    assert went(found)["exports"][0] == str(Fraction(3_333_333_333, 10**9))
    assert found.left.plan == 0
    assert entries(found) == [("2026-04-05", "consumption", "-1", "0")]


def test_within_a_stretch_features_draw_in_order_of_code_and_a_purchase_ends_it() -> None:
    """Rules CRD-1, CRD-4, LED-2, INV-11."""
    uses = [
        ("2026-04-05T09:00:00Z", "images", "1"),
        ("2026-04-05T10:00:00Z", "exports", "10"),
        ("2026-04-05T12:00:00Z", "images", "1"),
    ]
    found = drawn(STUDIO, uses, included=5, additions=(bought("2026-04-05T12:00:00Z", 20),))
    assert entries(found) == [
        ("2026-04-05", "consumption", "-3", "2"),
        ("2026-04-05", "consumption", "-2", "0"),
        ("2026-04-05", "purchase", "20", "20"),
        ("2026-04-05", "consumption", "-10", "10"),
    ]


def test_a_lower_cost_counts_from_its_instant() -> None:
    """Rules CRD-3, CRD-4."""
    cheap = with_lower_costs(
        STUDIO, terms_with(replace(IMAGES, credits_per_unit=Decimal(4)), EXPORTS)
    )
    at = instant("2026-04-10T12:00:00Z")
    keys = [
        (it, WindowKey("acme", it.start_at, it.end_at, CUTOFF))
        for it in stretches(APRIL, UTC, [at])
    ]
    uses = [("2026-04-10T11:00:00Z", "images", "1"), ("2026-04-10T12:00:00Z", "images", "1")]
    found = draw(
        STUDIO,
        Funds(CREDITS, Fraction(500), NONE),
        keys,
        usage_of(uses, keys),
        service=APRIL.period,
        is_blocking=True,
        per_event=False,
        changed=((at, cheap),),
    )
    assert [str(it.amount) for it in found.entries] == ["-10", "-4"]


@pytest.mark.parametrize(
    ("offered", "cost"), [("9", "9"), ("10", "10"), ("11", "10"), (None, "10")]
)
def test_only_a_lower_cost_is_taken(offered: str | None, cost: str) -> None:
    """Rule CRD-3."""
    others = replace(IMAGES, credits_per_unit=None if offered is None else Decimal(offered))
    lower = with_lower_costs(STUDIO, terms_with(others))
    assert lower.by_code["images"].credits_per_unit == Decimal(cost)
    assert lower.by_code["exports"] == EXPORTS


def test_ai_on_credits_costs_by_the_thousand_tokens_of_all_classes() -> None:
    """Rules AI-6, CRD-4."""
    chat = replace(CHAT, credits_per_unit=Decimal(2))
    terms = terms_with(chat, consumption_model="credits")
    found = drawn(terms, [("2026-04-05", "chat", "1500")], included=2)
    assert went(found)["chat"] == ("1000", "0", "500")
    assert found.left.plan == 0


def test_a_balance_below_zero_is_charged_to_what_spent_last() -> None:
    """Rules BAL-2, BAL-4, BAL-6, BAL-1, AI-5."""
    uses = [("2026-04-05", "renders", "40"), ("2026-04-06", "chat", "3000000")]
    found = drawn(BUILD, uses, included=10, is_blocking=False)
    assert [(str(it.type), it.code, str(it.amount)) for it in found.rated.lines] == [
        ("feature_overage", "chat", "10.80 USD"),
        ("balance_overage", "renders", "10.00 USD"),
    ]
    assert went(found) == {"chat": ("0", "3000000", "0"), "renders": ("20", "20", "0")}
    details = [(it.label, str(it.quantity), str(it.amount)) for it in found.rated.lines[0].details]
    assert details == [("a/x", "3000000", "9.00 USD"), ("2000", "None", "1.80 USD")]
    assert found.left.plan == Fraction(-104, 5)


def test_of_tokens_that_a_balance_paid_in_part_the_rest_is_shown() -> None:
    """Rules AI-8, BAL-4: 10.80 for 3 million, 10.00 of it paid."""
    found = drawn(BUILD, [("2026-04-06", "chat", "3000000")], included=10, is_blocking=False)
    (line,) = found.rated.lines
    assert str(line.amount) == "0.80 USD"
    assert line.quantity == Fraction(2_000_000, 9)
    assert [str(it.amount) for it in line.details] == ["0.67 USD", "0.13 USD"]
    assert line.details[0].quantity == line.quantity


def test_a_top_up_is_part_of_the_balance() -> None:
    """Rule BAL-3."""
    uses = [("2026-04-05", "renders", "30")]
    late = (bought("2026-04-20", 7, "topup"),)
    found = drawn(BUILD, uses, included=10, is_blocking=False, additions=late)
    assert not found.rated.lines
    assert found.left.plan == 2


def test_bought_credits_do_not_pay_for_use_on_a_balance() -> None:
    """Rules CRD-2, BAL-2."""
    found = drawn(BUILD, [("2026-04-05", "renders", "30")], included=10, purchased=99)
    assert went(found)["renders"] == ("20", "0", "10")
    assert found.left.purchased == 99


def test_rounded_lines_add_up_to_the_rounded_deficit() -> None:
    """Rule BAL-4, CNV-4: 0.005 + 0.005 is one cent, not two."""
    cheap = replace(RENDERS, price=PerUnit(Decimal("0.005")))
    other = replace(cheap, code="zips")
    terms = terms_with(cheap, other, consumption_model="balance")
    uses = [("2026-04-05", "renders", "1"), ("2026-04-05", "zips", "1")]
    found = drawn(terms, uses, included=0, is_blocking=False)
    assert [(it.code, it.amount.minor) for it in found.rated.lines] == [("renders", 1)]


def test_negative_use_and_an_unfit_price_are_errors() -> None:
    with pytest.raises(NegativeQuantity):
        drawn(STUDIO, [("2026-04-05", "images", "-1")], included=500)
    terms = terms_with(replace(RENDERS, price=Volume(())), consumption_model="balance")
    with pytest.raises(ValueError, match="renders has no price for each unit"):
        drawn(terms, [("2026-04-05", "renders", "1")], included=10)


def test_a_window_closed_as_it_opens_has_no_stretch_but_keeps_what_was_bought() -> None:
    at = instant("2026-04-01")
    empty = replace(APRIL, end_at=at)
    assert stretches(empty, UTC, ()) == ()
    funds = Funds(CREDITS, Fraction(5), NONE, (bought("2026-04-01", 7),))
    found = draw(STUDIO, funds, (), {}, service=APRIL.period, is_blocking=True, per_event=False)
    assert found.left == Funds(CREDITS, Fraction(5), Fraction(7))


def test_stretches_end_at_local_midnight_also_where_the_clocks_change() -> None:
    """Rules CRD-4, CNV-1."""
    zone = ZoneInfo("Europe/Amsterdam")
    start, end = (
        datetime(2026, 3, 28, 10, tzinfo=UTC),
        datetime(2026, 3, 30, 22, tzinfo=UTC),
    )
    found = stretches(Window(day("2026-03-28"), day("2026-03-31"), start, end), zone, ())
    assert [(it.start_at.isoformat()[:16], str(it.day)) for it in found] == [
        ("2026-03-28T10:00", "2026-03-28"),
        ("2026-03-28T23:00", "2026-03-29"),
        ("2026-03-29T22:00", "2026-03-30"),
    ]


days = st.integers(0, 29).map(lambda n: str(date(2026, 4, 1) + timedelta(days=n)))
quantities = st.decimals(0, 200, places=3).map(str)
events = st.lists(st.tuples(days, st.sampled_from(["images", "exports"]), quantities), max_size=12)
purchases = st.lists(st.tuples(days, st.integers(1, 300)), max_size=3)


@given(uses=events, packs=purchases, included=st.integers(0, 500))
def test_opening_and_entries_make_the_closing_and_no_use_is_lost(
    uses: Uses, packs: list[tuple[str, int]], included: int
) -> None:
    """Rules LED-1, USE-6, CRD-4: stretches tile the window; nothing is drawn below zero."""
    additions = tuple(bought(at, amount) for at, amount in sorted(packs))
    found = drawn(STUDIO, uses, included=included, additions=additions)
    balance = Fraction(included)
    for entry in found.entries:
        balance += entry.amount
        assert entry.balance_after == balance >= 0
    assert found.left.plan + found.left.purchased == balance
    for used in found.rated.usage:
        assert used.used == used.from_included + used.billed + used.blocked + used.waived
        assert min(used.from_included, used.blocked) >= 0
    assert all(one.end_at == two.start_at for one, two in pairwise(found.keys))
    assert (found.keys[0].start_at, found.keys[-1].end_at) == (APRIL.start_at, APRIL.end_at)


balance_events = st.lists(
    st.tuples(days, st.sampled_from(["chat", "renders"]), st.integers(0, 10**6).map(str)),
    max_size=12,
)


@given(uses=balance_events, included=st.integers(0, 10**6))
def test_a_deficit_is_charged_once_and_whole(uses: Uses, included: int) -> None:
    """Rules BAL-2, BAL-4, USE-6."""
    found = drawn(BUILD, uses, included=included, is_blocking=False)
    deficit = max(-found.left.plan, NONE)
    charged = sum(line.amount.minor for line in found.rated.lines)
    assert abs(charged - deficit * 100) <= Fraction(1, 2)
    assert found.left.plan == included + sum((it.amount for it in found.entries), NONE)
    for used in found.rated.usage:
        assert used.used == used.from_included + used.billed + used.blocked + used.waived


@given(
    st.lists(st.tuples(st.dates(), st.sampled_from("abc"), st.fractions(0, 100)), max_size=9),
    st.fractions(0, 1),
)
def test_the_parts_of_a_deficit_add_up(
    uses: list[tuple[date, str, Fraction]], share: Fraction
) -> None:
    """Rule BAL-4."""
    spent = sum((amount for _, _, amount in uses), NONE)
    parts = attributed(uses, spent * share)
    assert sum(parts.values(), NONE) == spent * share
