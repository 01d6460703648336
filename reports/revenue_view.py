"""The revenue report as its pages show it: strings, and where the shapes of its charts stand.

Figures come from `revenue_figures`; no total adds two currencies, each has its own part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from babel import Locale

from billing_core.money import Currency, Money, total
from billing_core.period import Period, boundary
from reports.charts import Box, bar_width, columns, grid
from reports.formats import (
    ENGLISH,
    compact_money_text,
    day_text,
    money_text,
    month_text,
    period_text,
    quantity_text,
    share_text,
    unit_text,
)
from reports.revenue_figures import (
    AGE_TITLES,
    Amount,
    ConvertedAmount,
    CurrencyFigures,
    DayUse,
    FeatureUse,
    MonthAmount,
    RevenueFigures,
)

MOST_ROWS = 12
"""Rows of a table; what is beyond is one row, Others."""

BAR_WIDTH = 100
CHART_WIDTH, CHART_HEIGHT = 520, 110


@dataclass(frozen=True, slots=True)
class Headline:
    """A figure in large type, with a remark under it."""

    label: str
    text: str
    remark: str


@dataclass(frozen=True, slots=True)
class BarRow:
    """A row with a bar: a name, how long its bar is, and its cells."""

    name: str
    width: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChartLabel:
    """A text at a place of a chart."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Upright bars over a grid, with labels left and below."""

    title: str
    groups: tuple[tuple[Box, ...], ...]
    lines: tuple[ChartLabel, ...]
    labels: tuple[ChartLabel, ...]


@dataclass(frozen=True, slots=True)
class AgeRow:
    """One age of the open balances, and its part of the bar above the table."""

    name: str
    start: str
    width: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CurrencyView:
    """The part of the report that is about one currency."""

    title: str
    headlines: tuple[Headline, ...]
    history: Chart | None
    by_plan: tuple[BarRow, ...]
    by_feature: tuple[BarRow, ...]
    before_tax: str
    ages: tuple[AgeRow, ...]
    age_total: tuple[str, ...]
    largest: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ConvertedView:
    """What all currencies come to in the catalog's; `total` is empty where a rate is missing."""

    title: str
    remark: str
    rows: tuple[tuple[str, ...], ...]
    total: str


@dataclass(frozen=True, slots=True)
class RevenueView:
    """Everything that stands in the report. Strings only."""

    language: str
    title: str
    subtitle: str
    seller: str
    created_on: str
    footer: str
    currencies: tuple[CurrencyView, ...]
    converted: ConvertedView | None
    daily: Chart | None
    features: tuple[tuple[str, ...], ...]


def revenue_view(figures: RevenueFigures, locale: Locale = ENGLISH) -> RevenueView:
    """The report of a month for its reader."""
    month = Period(figures.month, boundary(figures.month, 1))
    title = f"Revenue, {month_text(figures.month, locale)}"
    return RevenueView(
        language="en",
        title=title,
        subtitle=f"Invoices of {period_text(month, locale)}, as posted; "
        f"open balances on {day_text(figures.as_of, locale)}.",
        seller=figures.seller,
        created_on=figures.as_of.isoformat(),
        footer=f"{figures.seller} · {title}",
        currencies=tuple(_currency_view(one, locale) for one in figures.currencies),
        converted=_converted_view(figures.converted, locale),
        daily=_daily_chart(figures.daily, month, locale),
        features=tuple(_feature_row(use, locale) for use in figures.features[:MOST_ROWS]),
    )


def _converted_view(amounts: Sequence[ConvertedAmount], locale: Locale) -> ConvertedView | None:
    """Each currency's billed amount beside its worth; only what is converted is added. CUR-2."""
    worth = [one.converted for one in amounts if one.converted is not None]
    if not worth:
        return None
    code, is_whole = worth[0].currency.code, len(worth) == len(amounts)
    return ConvertedView(
        title=f"In {code}",
        remark="Billed in the month, tax included, at the exchange rate of each billing day"
        + ("" if is_whole else "; without a rate there is no total"),
        rows=tuple(
            (
                one.original.currency.code,
                money_text(one.original, locale),
                "no rate" if one.converted is None else money_text(one.converted, locale),
            )
            for one in amounts
        ),
        total=money_text(total(worth, worth[0].currency), locale) if is_whole else "",
    )


def _currency_view(figures: CurrencyFigures, locale: Locale) -> CurrencyView:
    before_tax = figures.billed - figures.tax
    return CurrencyView(
        title=figures.currency.code,
        headlines=_headlines(figures, locale),
        history=_history_chart(figures.history, figures.currency, locale),
        by_plan=_bar_rows(figures.by_plan, figures.currency, before_tax, locale),
        by_feature=_bar_rows(figures.by_feature, figures.currency, before_tax, locale),
        before_tax=_money(before_tax, figures.currency, locale),
        ages=_age_rows(figures, locale),
        age_total=_age_total(figures, locale),
        largest=tuple(
            (
                customer.name,
                customer.plan,
                _count(customer.invoices, locale),
                _money(customer.amount, figures.currency, locale),
            )
            for customer in figures.largest[:MOST_ROWS]
        ),
    )


def _headlines(figures: CurrencyFigures, locale: Locale) -> tuple[Headline, ...]:
    currency, before_tax = figures.currency, figures.billed - figures.tax
    customers, share = figures.customers, share_text(figures.overdue, figures.open, locale)
    return (
        Headline("Billed", _money(figures.billed, currency, locale), _change(figures, locale)),
        Headline(
            "Billed before tax",
            _money(before_tax, currency, locale),
            f"{_count(figures.invoices, locale)} invoices, {_count(customers, locale)} customers",
        ),
        Headline("Collected", _money(figures.collected, currency, locale), "received in the month"),
        Headline(
            "Outstanding",
            _money(figures.open, currency, locale),
            f"{share} of it overdue" if share else "nothing is open",
        ),
    )


def _change(figures: CurrencyFigures, locale: Locale) -> str:
    """How billed moved against the month before, where there was one."""
    if len(figures.history) < 2 or figures.history[-2].billed <= 0:
        return "tax included"
    before = figures.history[-2]
    moved = share_text(figures.billed - before.billed, before.billed, locale)
    sign = "+" if figures.billed >= before.billed else ""
    return f"{sign}{moved} on {month_text(before.month, locale)}"


def _bar_rows(
    amounts: Sequence[Amount], currency: Currency, whole: Decimal, locale: Locale
) -> tuple[BarRow, ...]:
    shown = list(amounts[:MOST_ROWS])
    if rest := amounts[MOST_ROWS:]:
        together = sum((one.amount for one in rest), Decimal(0))
        shown.append(Amount(f"Others ({len(rest)})", sum(one.invoices for one in rest), together))
    largest = max((one.amount for one in shown), default=Decimal(0))
    return tuple(
        BarRow(
            one.name,
            bar_width(one.amount, largest, BAR_WIDTH),
            (_money(one.amount, currency, locale), share_text(one.amount, whole, locale)),
        )
        for one in shown
    )


def _age_rows(figures: CurrencyFigures, locale: Locale) -> tuple[AgeRow, ...]:
    rows, start = [], Decimal(0)
    for title, bucket in zip(AGE_TITLES, figures.outstanding, strict=True):
        rows.append(
            AgeRow(
                title,
                bar_width(start, figures.open, CHART_WIDTH),
                bar_width(bucket.amount, figures.open, CHART_WIDTH),
                (
                    _count(bucket.customers, locale),
                    _count(bucket.invoices, locale),
                    _money(bucket.amount, figures.currency, locale),
                    share_text(bucket.amount, figures.open, locale),
                ),
            )
        )
        start += max(bucket.amount, Decimal(0))
    return tuple(rows)


def _age_total(figures: CurrencyFigures, locale: Locale) -> tuple[str, ...]:
    """The invoices and the sum; a customer may stand in two ages, so customers have no sum."""
    invoices = sum(bucket.invoices for bucket in figures.outstanding)
    return ("", _count(invoices, locale), _money(figures.open, figures.currency, locale), "")


def _history_chart(
    history: Sequence[MonthAmount], currency: Currency, locale: Locale
) -> Chart | None:
    """Billed and collected by month; a single month needs no chart."""
    if len(history) < 2:
        return None
    values = [(one.billed, one.collected) for one in history]
    top, lines = grid(max(max(pair) for pair in values), CHART_HEIGHT)
    groups = columns(values, width=CHART_WIDTH, height=CHART_HEIGHT, top=top)
    return Chart(
        title="Billed and collected by month",
        groups=groups,
        lines=tuple(
            ChartLabel(line.y, compact_money_text(line.value, currency, locale)) for line in lines
        ),
        labels=tuple(
            ChartLabel(_middle_of(group), month_text(one.month, locale))
            for group, one in zip(groups, history, strict=True)
        ),
    )


def _daily_chart(daily: Sequence[DayUse], month: Period, locale: Locale) -> Chart | None:
    """Events of each day of the month, days without any included; None without events."""
    events = {use.day: use.events for use in daily if use.events}
    if not events:
        return None
    days = [month.start.fromordinal(month.start.toordinal() + at) for at in range(month.days)]
    values = [(Decimal(events.get(day, 0)),) for day in days]
    top, lines = grid(max(value for (value,) in values), CHART_HEIGHT)
    groups = columns(values, width=CHART_WIDTH, height=CHART_HEIGHT, top=top)
    return Chart(
        title=f"{_count(sum(events.values()), locale)} events, by the day on which they happened",
        groups=groups,
        lines=tuple(
            ChartLabel(line.y, quantity_text(Fraction(line.value), locale)) for line in lines
        ),
        labels=tuple(
            ChartLabel(group[0].middle, str(day.day))
            for group, day in zip(groups, days, strict=True)
            if day.day % 7 == 1
        ),
    )


def _middle_of(group: Sequence[Box]) -> str:
    return str((Decimal(group[0].middle) + Decimal(group[-1].middle)) / 2)


def _feature_row(use: FeatureUse, locale: Locale) -> tuple[str, ...]:
    number = quantity_text(Fraction(use.quantity), locale)
    quantity = f"{number} {unit_text(use.quantity, use.unit)}"
    return (use.name, _count(use.customers, locale), quantity)


def _money(amount: Decimal, currency: Currency, locale: Locale) -> str:
    return money_text(Money.rounded(amount, currency), locale)


def _count(number: int, locale: Locale) -> str:
    return quantity_text(Fraction(number), locale)
