"""Catalogs, actions and usage made of short texts, for the tests of the billing core."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from billing_core.actions import MODELS, Action
from billing_core.bill import bill, bill_posted_at_cutoff
from billing_core.catalog import Catalog
from billing_core.fold import Folded
from billing_core.invoice import Invoice, InvoiceLine, LineType
from billing_core.money import Currency, Money
from billing_core.period import Period
from billing_core.pricing import PerUnit
from billing_core.setting import CatalogVersion, Setting, catalog_version
from billing_core.state import Customer
from billing_core.terms import FeatureTerms, Terms
from billing_core.usage import TokenUse, UsageSnapshot, WindowKey

USD, EUR, JPY, BHD = (
    Currency("USD", 2),
    Currency("EUR", 2),
    Currency("JPY", 0),
    Currency("BHD", 3),
)
CURRENCIES = {currency.code: currency for currency in (USD, EUR, JPY, BHD)}
ZONES = {
    name: ZoneInfo(name)
    for name in (
        "UTC",
        "America/New_York",
        "America/Sao_Paulo",
        "America/Havana",
        "Asia/Tokyo",
        "Australia/Lord_Howe",
        "Australia/Sydney",
        "Europe/Amsterdam",
        "Pacific/Apia",
        "Pacific/Chatham",
    )
}
STARTER: dict[str, Any] = {
    "name": "Starter",
    "consumption_model": "metered",
    "prices": {
        "monthly": {"amount": "29.00", "currencies": {"JPY": {"amount": "3000"}}},
        "quarterly": {"amount": "81.00"},
        "yearly": {"amount": "290.00"},
    },
    "features": {
        "api_calls": {
            "included": "10000",
            "overage": {"unit_price": "0.02", "currencies": {"JPY": {"unit_price": "2"}}},
        },
        "editors": {
            "included": "5",
            "overage": {"unit_price": "25.00", "currencies": {"JPY": {"unit_price": "2500"}}},
        },
        "viewers": {"included": "3"},
        "guests": {"unlimited": "true"},
        "sso": {"enabled": "false"},
    },
}
LADDER: dict[str, Any] = {
    "catalog": "ladder",
    "effective_at": "2020-01-01",
    "currency": "USD",
    "seller": {"name": "Example Labs Inc.", "country": "US"},
    "features": {
        "api_calls": {"type": "metered", "name": "API calls", "unit": "call"},
        "editors": {"type": "seats", "name": "Editor seats", "unit": "seat"},
        "viewers": {"type": "seats", "name": "Viewer seats", "unit": "seat"},
        "guests": {"type": "seats", "name": "Guest seats", "unit": "seat"},
        "sso": {"type": "boolean", "name": "Single sign-on"},
    },
    "plans": {
        "free": {
            "name": "Free",
            "consumption_model": "metered",
            "free": "true",
            "features": {"api_calls": {"included": "1000"}},
        },
        "starter": STARTER,
        "hidden": {**STARTER, "name": "Hidden", "public": "false"},
    },
}
"""Three plans; starter includes 10,000 calls and 5 editors, monthly, quarterly or yearly."""


def ladder(**changes: Any) -> Catalog:
    """The ladder of plans with some keys of the tree replaced (`policies`, `tax` ...)."""
    return Catalog.model_validate({**deepcopy(LADDER), **changes})


def plan_of(features: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A plan of the metered model at 10.00 a month, as a tree."""
    return {
        "name": "Plan",
        "consumption_model": "metered",
        "prices": {"monthly": {"amount": "10.00"}},
        "features": features,
        **changes,
    }


def starter_at(amount: str, **prices: Any) -> dict[str, Any]:
    """The plans of the ladder with another monthly price for starter."""
    plans = deepcopy(LADDER["plans"])
    plans["starter"]["prices"] = {"monthly": {"amount": amount}, **prices}
    return plans  # type: ignore[no-any-return]


def instant(text: str) -> datetime:
    """An instant from text: a date alone is 00:00 UTC.

    >>> str(instant("2026-04-16 09:30"))
    '2026-04-16 09:30:00+00:00'
    """
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def day(text: str) -> date:
    """A date from text."""
    return date.fromisoformat(text)


def act(at: str, do: str, received_at: str | None = None, **fields: Any) -> Action:
    """An action of customer `acme`; its id is `do` and instant, where none is given.

    Only the founder may do everything; he is the actor here.
    """
    given = {
        "id": f"{do}@{at}".replace(" ", "T"),
        "at": instant(at),
        "received_at": instant(received_at or at),
        "customer": "acme",
        "actor": "founder",
        **fields,
    }
    return MODELS[do].model_validate(given)


def created(at: str = "2020-01-01", **fields: Any) -> Action:
    """The customer acme, untaxed unless `is_taxed` says otherwise."""
    return act(at, "create_customer", **{"is_taxed": False, **fields})


def subscribed(at: str, plan: str = "starter", interval: str = "monthly", **fields: Any) -> Action:
    """A subscription of acme with the id `s1`."""
    return act(at, "subscribe", **{"id": "s1", "plan": plan, "interval": interval, **fields})


def paid(at: str, invoice: Any, result: str = "succeeded", **fields: Any) -> Action:
    """A payment result for an invoice: by id or number, or as (type, date)."""
    if isinstance(invoice, tuple):
        invoice = {"type": invoice[0], "on": invoice[1]}
    named = {"id": f"payment@{at}/{result}".replace(" ", "T"), "invoice": invoice, "result": result}
    return act(at, "payment", **{**named, **fields})


@dataclass(frozen=True, slots=True)
class Used:
    """One use of a feature by acme; it lands on the day of its instant unless told otherwise."""

    at: datetime
    feature: str
    quantity: Decimal
    landed_on: date
    amount: Decimal = Decimal(0)
    tokens: tuple[TokenUse, ...] = ()


def use(at: str, quantity: str, feature: str = "api_calls", **fields: Any) -> Used:
    """A use from texts; `landed_on` as text too."""
    moment = instant(at)
    landed = day(fields.pop("landed_on")) if "landed_on" in fields else moment.date()
    return Used(moment, feature, Decimal(quantity), landed, **fields)


class Metered(Mapping[WindowKey, Mapping[str, UsageSnapshot]]):
    """Snapshots summed from uses when they are asked for: plain Python, apart from the SQL."""

    def __init__(self, uses: Sequence[Used] = ()) -> None:
        self.uses = uses

    def __getitem__(self, key: WindowKey) -> Mapping[str, UsageSnapshot]:
        found: dict[str, UsageSnapshot] = {}
        for item in self.uses:
            if key.start_at <= item.at < key.end_at and item.landed_on <= key.cutoff_on:
                none = UsageSnapshot(
                    key.customer_id,
                    item.feature,
                    key.start_at,
                    key.end_at,
                    key.cutoff_on,
                    events=0,
                    quantity=Decimal(0),
                )
                old = found.get(item.feature, none)
                found[item.feature] = replace(
                    old,
                    events=old.events + 1,
                    quantity=old.quantity + item.quantity,
                    amount=old.amount + item.amount,
                    tokens=(*old.tokens, *item.tokens),
                )
        return found

    def __iter__(self) -> Iterator[WindowKey]:
        raise TypeError("usage is summed by window; there is no list of windows")

    def __len__(self) -> int:
        raise TypeError("usage is summed by window; there is no list of windows")


def versions_of(*catalogs: Catalog) -> tuple[CatalogVersion, ...]:
    """Catalog versions, each in force from 00:00 UTC of its date."""
    return tuple(
        catalog_version(instant(str(item.effective_at)), item, CURRENCIES) for item in catalogs
    )


def setting_of(*catalogs: Catalog, uses: Sequence[Used] = (), **changes: Any) -> Setting:
    """The setting of the ladder or of other catalogs; all invoices are paid unless told."""
    given: dict[str, Any] = {"assumes_payment": True, **changes}
    return Setting(versions_of(*(catalogs or (ladder(),))), ZONES, usage=Metered(uses), **given)


def folded(actions: Sequence[Action], setting: Setting, until: str) -> Folded:
    """The history of acme to the end of a day, UTC; a fault fails the test with its message."""
    answer = bill("acme", actions, setting, until=instant(until) + timedelta(days=1))
    assert answer.folded is not None, answer.fault
    return answer.folded


def posted(actions: Sequence[Action], setting: Setting, until: str) -> Folded:
    """The same as if each invoice had been posted at its cutoff, late usage known by its day."""
    uses = setting.usage.uses if isinstance(setting.usage, Metered) else ()
    late = {item.landed_on for item in uses if item.landed_on > item.at.date()}
    end = instant(until) + timedelta(days=1)
    known = replace(setting, known_on=end.date())
    answer = bill_posted_at_cutoff("acme", actions, known, until=end, late_days=late)
    assert answer.folded is not None, answer.fault
    return answer.folded


def shown(invoice: Invoice) -> str:
    """An invoice in one line: date, type, each line as type, code and amount, total.

    The code of a customer credit is its reason.
    """
    lines = "; ".join(shown_line(line) for line in invoice.lines)
    return f"{invoice.billing_day} {invoice.type}: {lines} = {invoice.total.major}"


def shown_line(line: InvoiceLine) -> str:
    """A line as `feature_seats/true_up editors 12.50`."""
    kind = str(line.type)
    if line.charge_type and line.type is not LineType.CREDIT:
        kind += f"/{line.charge_type}"
    code = line.name if line.charge_type == "customer_credit" else line.code
    return " ".join(str(part) for part in (kind, code, line.amount.major) if part is not None)


def invoices(told: Folded) -> list[str]:
    """All invoices of a history, one line each."""
    return [shown(invoice) for invoice in told.invoices]


def outcomes(told: Folded) -> dict[str, str]:
    """What became of each action, by its id."""
    return {item.action_id: str(item) for item in told.outcomes}


def feature_terms(code: str = "calls", **changes: Any) -> FeatureTerms:
    """A metered feature at 0.01 above 100 included units."""
    own = FeatureTerms(
        code=code,
        name=code.capitalize(),
        type="metered",
        unit="call",
        aggregation="sum",
        is_ai=False,
        margin_bp=0,
        included=Fraction(100),
        unlimited=False,
        price=PerUnit(Decimal("0.01")),
        mode="charge",
    )
    return replace(own, **changes)


def terms_with(*features: FeatureTerms, currency: Currency = USD, **changes: Any) -> Terms:
    """Monthly terms at 10.00 with some features."""
    own = Terms(
        plan="plan",
        plan_name="Plan",
        consumption_model="metered",
        interval="monthly",
        currency=currency,
        amount=Decimal("10.00"),
        features=features,
        by_code={feature.code: feature for feature in features},
    )
    return replace(own, **changes)


def snapshot(quantity: str, feature: str = "calls", **changes: Any) -> UsageSnapshot:
    """Usage of April 2026, as known on May 1."""
    own = UsageSnapshot(
        "acme",
        feature,
        instant("2026-04-01"),
        instant("2026-05-01"),
        day("2026-05-01"),
        events=1,
        quantity=Decimal(quantity),
    )
    return replace(own, **changes)


def line(amount: str, kind: LineType = LineType.FEATURE_OVERAGE, **changes: Any) -> InvoiceLine:
    """A line of April 2026 in dollars, or in the `currency` given."""
    currency = changes.pop("currency", USD)
    own = InvoiceLine(
        type=kind,
        name="Line",
        amount=Money.rounded(Decimal(amount), currency),
        quantity=Fraction(1),
        unit="call",
        service=Period(day("2026-04-01"), day("2026-05-01")),
        rule="CAT-10",
    )
    return replace(own, **changes)


def customer(**changes: Any) -> Customer:
    """The customer acme in the Netherlands, taxed."""
    return replace(Customer("acme", country="NL"), **changes)
