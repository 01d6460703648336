"""How many invoices of eight lines one core rates in a second.

Run as `python -m tests.bench.rating`. From snapshots and actions to invoice values: each
customer is folded from his first action on, in one process. Exits 1 below the target.
"""

import statistics
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from billing_core.actions import MODELS, Action
from billing_core.bill import bill
from billing_core.catalog import Catalog
from billing_core.money import Currency
from billing_core.period import boundary, midnight
from billing_core.setting import Setting, catalog_version
from billing_core.usage import TokenUse, UsageSnapshot, WindowKey

ROUNDS = 7
CUSTOMERS = 200
MONTHS = 12
LINES = 8
LEAST_PER_SECOND = 2_000

START = date(2026, 1, 15)
UNTIL = datetime(2027, 1, 16, tzinfo=UTC)
PRICES = (Decimal(3), Decimal(15), Decimal("0.30"), Decimal("3.75"))
TIERS = [
    {"up_to": "1000", "unit_price": "0.02", "flat": "1.00"},
    {"up_to": "10000", "unit_price": "0.015"},
    {"unit_price": "0.01"},
]
CATALOG = {
    "catalog": "bench",
    "effective_at": "2025-01-01",
    "currency": "EUR",
    "seller": {"name": "Example Labs B.V.", "country": "NL"},
    "features": {
        "api_calls": {"type": "metered", "name": "API calls", "unit": "call"},
        "chat": {"type": "metered", "name": "Chat", "unit": "token"},
        "editors": {"type": "seats", "name": "Editors", "unit": "seat"},
        "mails": {"type": "metered", "name": "Mails", "unit": "mail"},
        "renders": {
            "type": "metered",
            "name": "Rendering",
            "unit": "minute",
            "event_unit": "second",
            "per": "60",
        },
    },
    "plans": {
        "pro": {
            "name": "Pro",
            "consumption_model": "metered",
            "prices": {"monthly": {"amount": "99.00"}},
            "features": {
                "api_calls": {
                    "included": "10000",
                    "overage": {"model": "graduated", "tiers": TIERS},
                },
                "chat": {"pricing": "ai_model", "margin_bp": "2000"},
                "editors": {"included": "5", "overage": {"unit_price": "25.00"}},
                "mails": {"overage": {"model": "package", "size": "100", "price": "5.00"}},
                "renders": {"included": "100", "overage": {"unit_price": "0.0333"}},
            },
        }
    },
    "tax": [{"country": "NL", "rate_bp": "2100", "from": "2019-01-01"}],
}


@dataclass(frozen=True, slots=True)
class Work:
    """All customers' actions, and the setting with their usage."""

    actions: dict[str, list[Action]]
    setting: Setting


def main() -> int:
    """Print the figure; 0 when it holds."""
    work = prepared()
    seconds = sorted(_seconds(work) for _ in range(ROUNDS))
    invoices = CUSTOMERS * MONTHS
    rate = round(invoices / statistics.median(seconds))
    print(
        f"{invoices:,} invoices of {LINES} lines, {CUSTOMERS} customers, median of {ROUNDS}: "
        f"{rate:,} a second, best {round(invoices / seconds[0]):,} "
        f"(at least {LEAST_PER_SECOND:,})"
    )
    return 0 if rate >= LEAST_PER_SECOND else 1


def _seconds(work: Work) -> float:
    begin = time.process_time()
    for customer, actions in work.actions.items():
        answer = bill(customer, actions, work.setting, until=UNTIL)
        if answer.folded is None:
            raise ValueError(answer.fault)
        # The first invoice has no window behind it, so it is worked for but not counted.
        whole = [invoice for invoice in answer.folded.invoices if len(invoice.lines) == LINES]
        if len(whole) != MONTHS:
            raise ValueError(f"{len(whole)} invoices of {LINES} lines, not {MONTHS}")
    return time.process_time() - begin


def prepared() -> Work:
    """Customers with a year of usage in every feature, and a seat more each month."""
    names = [f"customer-{number:04}" for number in range(CUSTOMERS)]
    catalog = Catalog.model_validate(CATALOG)
    version = catalog_version(
        datetime(2025, 1, 1, tzinfo=UTC), catalog, {"EUR": Currency("EUR", 2)}
    )
    usage = {
        key: snapshots
        for place, name in enumerate(names)
        for month in range(MONTHS)
        for key, snapshots in [window(name, month, place)]
    }
    zones = {"UTC": ZoneInfo("UTC")}
    setting = Setting((version,), zones, usage=usage, assumes_payment=True)
    return Work({name: _actions(name) for name in names}, setting)


def _actions(customer: str) -> list[Action]:
    started = midnight(START, UTC)
    steps: list[tuple[str, datetime, dict[str, object]]] = [
        ("create_customer", started, {"country": "NL"}),
        ("subscribe", started, {"plan": "pro", "interval": "monthly", "seats": {"editors": 8}}),
    ]
    for month in range(MONTHS):
        on = midnight(boundary(START.replace(day=20), month), UTC)
        steps.append(("add_seats", on, {"feature": "editors", "quantity": 1}))
    return [
        MODELS[do].model_validate(
            {"id": f"a{place}", "at": at, "received_at": at, "customer": customer, **fields}
        )
        for place, (do, at, fields) in enumerate(steps)
    ]


def window(customer: str, month: int, place: int) -> tuple[WindowKey, dict[str, UsageSnapshot]]:
    """The usage of one window; each customer and month has other quantities."""
    start_at = midnight(boundary(START, month), UTC)
    end_at = midnight(boundary(START, month + 1), UTC)
    key = WindowKey(customer, start_at, end_at, end_at.date())
    more = Decimal(place * 37 + month * 101) / 8
    counted = (900_000 + place, 300_000 + month, 50_000, 1_000)
    tokens = (TokenUse("anthropic/claude-x", counted, PRICES),)
    quantities = {
        "api_calls": Decimal(25_000) + more,
        "mails": Decimal(900) + more,
        "renders": Decimal(7_200) + more,
        "chat": Decimal(sum(counted)),
    }
    return key, {
        feature: UsageSnapshot(
            customer,
            feature,
            start_at,
            end_at,
            key.cutoff_on,
            events=10,
            quantity=quantity,
            tokens=tokens if feature == "chat" else (),
        )
        for feature, quantity in quantities.items()
    }


if __name__ == "__main__":
    sys.exit(main())
