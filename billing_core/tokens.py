"""What AI tokens cost: tokens at the model's price, and the plan's margin on top.

Token counts come from snapshots, already split by model, price and token class. With
exact rounding nothing is rounded here; with `per_event` the events were rounded up to
rate units where they were counted (AI-1, AI-7).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from billing_core.currencies import converted
from billing_core.errors import BillingError
from billing_core.exact import exact_sum, product
from billing_core.usage import TOKEN_CLASSES, TokenUse

RATE_UNITS = 10_000
"""Rate units in one unit of the catalog's currency. Rule CNV-8."""


class MarginNotMetered(BillingError):
    """Usage rounded per event was metered without the margin that the plan has."""

    code = "AI-01"

    def __init__(self, *, margin_bp: int, model: str) -> None:
        super().__init__(
            what=f"no margin of {margin_bp} basis points was metered for model {model!r}",
            where="the usage snapshot, token_cost_rounding: per_event",
            mend="meter the days of the window again with the catalog that has this margin",
        )


@dataclass(frozen=True, slots=True)
class TokenCost:
    """The exact cost of one token class of one model, or (token_class None) of the margin."""

    model: str
    token_class: str | None
    tokens: int
    price_per_million: Decimal | None
    exact: Fraction


def token_costs(
    uses: Sequence[TokenUse], *, margin_bp: int, per_event: bool, rate: Decimal | None = None
) -> tuple[TokenCost, ...]:
    """The costs that make an AI feature's charge; their sum is what the window owes.

    takes:   uses, by model and price; margin_bp, of the terms in force; rate, of another
             currency than the catalog's, at which costs and prices are converted.
    returns: for each use its token classes that were used, in TOKEN_CLASSES order; then
             one margin over all, where there is one.
    raises:  MarginNotMetered.
    rule:    AI-1, AI-5, AI-7, CUR-2.

    >>> prices = (Decimal(3), Decimal(15), Decimal(0), Decimal(0))
    >>> use = TokenUse("a/x", (1000, 500, 0, 0), prices, (30, 75, 0, 0), {2000: 21})
    >>> [str(c.exact) for c in token_costs([use], margin_bp=2000, per_event=True)]
    ['3/1000', '3/400', '21/10000']
    >>> [str(c.exact) for c in token_costs([use], margin_bp=2000, per_event=False)]
    ['3/1000', '3/400', '21/10000']
    """
    costs = [cost for use in uses for cost in _classes(use, per_event=per_event)]
    if margin_bp and costs:
        if per_event:
            margin = Fraction(sum(_margin_units(use, margin_bp) for use in uses), RATE_UNITS)
        else:
            margin = exact_sum([cost.exact for cost in costs]) * Fraction(margin_bp, 10_000)
        costs.append(TokenCost("", None, 0, None, margin))
    if rate is not None:
        return tuple(_at_rate(cost, rate) for cost in costs)
    return tuple(costs)


def _at_rate(cost: TokenCost, rate: Decimal) -> TokenCost:
    """A cost and its price in another currency, exact. Rule CUR-2."""
    price = cost.price_per_million
    return replace(
        cost,
        price_per_million=None if price is None else converted(price, rate),
        exact=product(cost.exact, rate),
    )


def _classes(use: TokenUse, *, per_event: bool) -> Iterator[TokenCost]:
    for index, token_class in enumerate(TOKEN_CLASSES):
        tokens, price = use.tokens[index], use.price_per_million[index]
        if not tokens:
            continue
        if per_event:
            exact = Fraction(use.rate_units[index], RATE_UNITS)
        else:
            numerator, denominator = price.as_integer_ratio()
            exact = Fraction(tokens * numerator, denominator * 1_000_000)
        yield TokenCost(use.model, token_class, tokens, price, exact)


def _margin_units(use: TokenUse, margin_bp: int) -> int:
    if margin_bp not in use.margin_units:
        raise MarginNotMetered(margin_bp=margin_bp, model=use.model)
    return use.margin_units[margin_bp]
