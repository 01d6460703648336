"""Rules AI-1, AI-5, AI-7: token costs by class, and the margin on their sum."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core.tokens import RATE_UNITS, MarginNotMetered, token_costs
from billing_core.usage import TOKEN_CLASSES, TokenUse

PRICES = (Decimal(3), Decimal(15), Decimal("0.30"), Decimal("3.75"))


def rounded_per_event(tokens: tuple[int, int, int, int], margin_bp: int) -> TokenUse:
    """One event as metering keeps it: each class and the margin rounded up to a rate unit."""
    units = tuple(
        ceil(count * Fraction(price) * RATE_UNITS / 1_000_000)
        for count, price in zip(tokens, PRICES, strict=True)
    )
    margin = ceil(Fraction(sum(units) * margin_bp, 10_000))
    return TokenUse("a/x", tokens, PRICES, units, {margin_bp: margin})  # type: ignore[arg-type]


# fmt: off
COSTS = {
    # case                         tokens                  margin   per event   exact
    "the worked example":        ((1000, 500, 0, 0),       2000,    "0.0126",   "0.0126"),
    "with cache tokens":         ((1000, 500, 100, 50),    2000,    "0.0130",   "0.0128610"),
    "no margin":                 ((1000, 500, 0, 0),       0,       "0.0105",   "0.0105"),
    "one token":                 ((1, 0, 0, 0),            0,       "0.0001",   "0.000003"),
    "one token with margin":     ((1, 0, 0, 0),            1,       "0.0002",   "0.0000030003"),
    "nothing":                   ((0, 0, 0, 0),            2000,    "0",        "0"),
}
# fmt: on


@pytest.mark.parametrize(("tokens", "margin", "per_event", "exact"), COSTS.values(), ids=COSTS)
def test_token_costs(
    tokens: tuple[int, int, int, int], margin: int, per_event: str, exact: str
) -> None:
    use = rounded_per_event(tokens, margin)
    for is_per_event, expected in ((True, per_event), (False, exact)):
        costs = token_costs([use], margin_bp=margin, per_event=is_per_event)
        assert sum(cost.exact for cost in costs) == Fraction(expected)


def test_only_classes_that_were_used_are_shown_and_the_margin_is_last() -> None:
    costs = token_costs([rounded_per_event((5, 0, 7, 0), 100)], margin_bp=100, per_event=False)
    assert [(cost.token_class, cost.tokens) for cost in costs] == [
        ("input", 5),
        ("cache_read", 7),
        (None, 0),
    ]


def test_without_use_there_is_no_margin() -> None:
    assert token_costs([], margin_bp=2000, per_event=True) == ()


def test_a_margin_that_was_not_metered_is_an_error() -> None:
    use = rounded_per_event((1000, 500, 0, 0), 2000)
    with pytest.raises(MarginNotMetered, match=r"AI-01.*margin of 2500 .*'a/x'"):
        token_costs([use], margin_bp=2500, per_event=True)


counts = st.tuples(*[st.integers(0, 10**7)] * len(TOKEN_CLASSES))


@given(events=st.lists(counts, max_size=5), margin_bp=st.integers(0, 10_000))
def test_rounding_per_event_never_costs_less(
    events: list[tuple[int, int, int, int]], margin_bp: int
) -> None:
    uses = [rounded_per_event(tokens, margin_bp) for tokens in events]
    exact = sum(c.exact for c in token_costs(uses, margin_bp=margin_bp, per_event=False))
    rounded = sum(c.exact for c in token_costs(uses, margin_bp=margin_bp, per_event=True))
    # under a unit for each of four classes, as much again for a margin of 100 %, one for itself
    assert exact <= rounded <= exact + Fraction(9 * len(events), RATE_UNITS)


@given(events=st.lists(counts, min_size=1, max_size=5))
def test_the_margin_is_on_the_sum(events: list[tuple[int, int, int, int]]) -> None:
    """A margin of 25 % on the sum is the sum of the margins: nothing is rounded before. AI-7."""
    uses = [TokenUse("a/x", tokens, PRICES) for tokens in events]
    plain = sum(c.exact for c in token_costs(uses, margin_bp=0, per_event=False))
    assert sum(c.exact for c in token_costs(uses, margin_bp=2500, per_event=False)) == plain * 5 / 4
