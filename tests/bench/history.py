"""How long a long history takes that is folded from its first action on.

Run as `python -m tests.bench.history`. One customer of five years, with usage in every window
and something done in most of them, from actions and snapshots to invoice values, in one
process. Exits 1 above the target.
"""

import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from billing_core.actions import MODELS, Action
from billing_core.bill import bill
from billing_core.catalog import Catalog
from billing_core.money import Currency
from billing_core.period import boundary, midnight
from billing_core.setting import Setting, catalog_version
from tests.bench.rating import CATALOG, START, window

ROUNDS = 15
WINDOWS = 60
ACTIONS = 100
MOST_MILLISECONDS = 50

CUSTOMER = "customer-0000"
UNTIL = midnight(boundary(START, WINDOWS), UTC) + timedelta(days=1)


def main() -> int:
    """Print the figure; 0 when it holds."""
    actions, setting = told(), known()
    taken = sorted(_milliseconds(actions, setting) for _ in range(ROUNDS))
    median = statistics.median(taken)
    print(
        f"a history of {WINDOWS} windows and {len(actions)} actions, median of {ROUNDS}: "
        f"{median:.1f} ms, best {taken[0]:.1f} (at most {MOST_MILLISECONDS})"
    )
    return 0 if median <= MOST_MILLISECONDS else 1


def _milliseconds(actions: list[Action], setting: Setting) -> float:
    began = time.process_time()
    answer = bill(CUSTOMER, actions, setting, until=UNTIL)
    taken = time.process_time() - began
    folded = answer.folded
    if folded is None or len(folded.invoices) != WINDOWS + 1:
        raise ValueError(answer.fault)
    if any(outcome.status != "applied" for outcome in folded.outcomes):
        raise ValueError("an action of the history is refused")
    return taken * 1000


def told() -> list[Action]:
    """A subscription, and then seats that come and go, credit, and changes of locale."""
    began = midnight(START, UTC)
    steps: list[tuple[str, datetime, dict[str, object]]] = [
        ("create_customer", began, {"country": "NL"}),
        ("subscribe", began, {"plan": "pro", "interval": "monthly", "seats": {"editors": 8}}),
    ]
    for place in range(ACTIONS - len(steps)):
        at = midnight(boundary(START, place % WINDOWS), UTC) + timedelta(days=5 + place // WINDOWS)
        steps.append(_step(place, at))
    steps.sort(key=lambda step: step[1])
    return [
        MODELS[do].model_validate(
            {"id": f"a{place}", "at": at, "received_at": at, "customer": CUSTOMER, **fields}
        )
        for place, (do, at, fields) in enumerate(steps)
    ]


def _step(place: int, at: datetime) -> tuple[str, datetime, dict[str, object]]:
    match place % 4:
        case 0:
            return "add_seats", at, {"feature": "editors", "quantity": 2}
        case 1:
            return "remove_seats", at, {"feature": "editors", "quantity": 1}
        case 2:
            amount = {"amount": "5.00", "reason": "goodwill", "actor": "founder"}
            return "grant_credit", at, amount
    return "update_customer", at, {"locale": "nl" if place % 8 == 3 else "en"}


def known() -> Setting:
    """The setting, with usage of every feature in every window."""
    began = datetime(2025, 1, 1, tzinfo=UTC)
    version = catalog_version(began, Catalog.model_validate(CATALOG), {"EUR": Currency("EUR", 2)})
    usage = dict(window(CUSTOMER, month, 0) for month in range(WINDOWS))
    return Setting((version,), {"UTC": ZoneInfo("UTC")}, usage=usage, assumes_payment=True)


if __name__ == "__main__":
    sys.exit(main())
