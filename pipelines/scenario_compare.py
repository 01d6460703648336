"""Whether what came out of a scenario is what it says must come out, difference by difference.

Pure comparison: how the story was run (in the core, or through files, runs and posting)
is decided elsewhere and ends in the same `Observed`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import zip_longest

from billing_core.drawing import LedgerEntry
from billing_core.errors import Fault
from billing_core.invoice import Invoice, InvoiceLine
from billing_core.money import Money
from billing_core.standing import Scheduled, Standing
from billing_core.step import Notice
from pipelines.scenario_files import (
    ExpectedEntry,
    ExpectedInvoice,
    ExpectedSchedule,
    ExpectedState,
    Scenario,
)


@dataclass(frozen=True, slots=True)
class Observed:
    """What came out of a scenario, in any order.

    outcomes:  action id -> as scenarios write it. set_aside: reason -> events.
    standings: customer -> how he stands at the end of bill_through.
    """

    invoices: Sequence[Invoice] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[Notice] = ()
    standings: Mapping[str, Standing] = field(default_factory=dict)
    set_aside: Mapping[str, int] = field(default_factory=dict)
    holds: Sequence[tuple[str, str]] = ()
    faults: Sequence[Fault] = ()
    ledger: Sequence[LedgerEntry] = ()


def differences(scenario: Scenario, observed: Observed) -> tuple[str, ...]:
    """What differs, a line each; empty when the scenario passes."""
    return tuple(_differences(scenario, observed))


def _differences(scenario: Scenario, observed: Observed) -> Iterator[str]:
    expect = scenario.expect
    for fault in observed.faults:
        yield f"fault of {fault.customer_id}: [{fault.code}] {fault.what}"
    if expect.invoices is not None:
        yield from _invoices(scenario, observed)
    for name, expected in (expect.outcomes or {}).items():
        came = observed.outcomes.get(scenario.names[name], "nothing")
        if came != expected:
            yield f"outcome of {name}: expected {expected}, came {came}"
    for customer, state in (expect.state or {}).items():
        yield from _state(customer, state, observed.standings.get(customer))
    if expect.notices is not None:
        yield from _rows(
            "notices",
            [(str(it.on), it.customer, it.kind, it.feature) for it in expect.notices],
            [(str(it.on), it.customer_id, it.kind, it.feature) for it in _in_time(observed)],
        )
    if expect.set_aside is not None:
        yield from _rows(
            "set_aside",
            [(it.reason, it.count) for it in expect.set_aside],
            sorted(observed.set_aside.items()),
        )
    if expect.holds is not None:
        yield from _rows(
            "holds", [(it.customer, it.reason) for it in expect.holds], sorted(observed.holds)
        )
    if expect.ledger is not None:
        yield from _ledger(expect.ledger, observed)
    if expect.creators:
        yield f"creators: expected {len(expect.creators)} entries, came none"


def _ledger(expected: Sequence[ExpectedEntry], observed: Observed) -> Iterator[str]:
    """Entries by (instant, customer, made), amounts equal as exact numbers. Rule LED-1."""
    came = sorted(observed.ledger, key=lambda it: (it.at, it.customer_id))
    rows = [(it.on, it.customer_id, it.kind, it.amount, it.balance_after) for it in came]
    wanted = [(it.on, it.customer, it.type, it.amount, it.balance_after) for it in expected]
    for place, (left, right) in enumerate(zip_longest(wanted, rows)):
        if left != right:
            texts = ["none" if row is None else _text(row) for row in (left, right)]
            yield f"ledger {place + 1}: expected {texts[0]}, came {texts[1]}"


def _in_time(observed: Observed) -> list[Notice]:
    return sorted(observed.notices, key=lambda notice: (notice.at, notice.customer_id))


def _rows(what: str, expected: Sequence[object], came: Sequence[object]) -> Iterator[str]:
    for place, (left, right) in enumerate(zip_longest(expected, came)):
        if left != right:
            yield f"{what} {place + 1}: expected {left}, came {right}"


def _invoices(scenario: Scenario, observed: Observed) -> Iterator[str]:
    only = scenario.expect.invoices_of
    came = sorted(
        (it for it in observed.invoices if only is None or it.customer_id in only),
        key=lambda it: (it.billing_day, it.customer_id, it.made_at),
    )
    for place, (left, right) in enumerate(zip_longest(scenario.expect.invoices or (), came)):
        if left is None or right is None:
            yield f"invoice {place + 1}: expected {_expected(left)}, came {_shown(right)}"
        elif any(not is_same for is_same in _same(left, right)):
            yield f"invoice {place + 1}: expected {_expected(left)}\n{'':>14}came {_shown(right)}"


def _same(expected: ExpectedInvoice, came: Invoice) -> Iterator[bool]:
    """Whether each key that is given is what came."""
    values: dict[str, object] = {
        "customer": came.customer_id,
        "on": came.billing_day,
        "type": str(came.type),
        "currency": came.currency.code,
        "subtotal": came.subtotal.major,
        "tax": came.tax.major,
        "total": came.total.major,
    }
    for key in expected.model_fields_set - {"lines"}:
        yield getattr(expected, key) == values[key]
    if expected.lines != "any":
        yield [(it.type, it.amount) for it in expected.lines] == [
            (str(it.type), it.amount.major) for it in came.lines
        ]
        yield all(
            left.code is None or left.code == right.code
            for left, right in zip(expected.lines, came.lines, strict=False)
        )


def _expected(expected: ExpectedInvoice | None) -> str:
    if expected is None:
        return "none"
    lines = "any" if expected.lines == "any" else ", ".join(_line_of(it) for it in expected.lines)
    return f"{expected.customer} {expected.on} {expected.type} [{lines}] total {expected.total}"


def _line_of(line: object) -> str:
    parts = [getattr(line, "type", ""), getattr(line, "code", None), getattr(line, "amount", "")]
    return " ".join(str(part) for part in parts if part is not None)


def _shown(came: Invoice | None) -> str:
    if came is None:
        return "none"
    lines = ", ".join(_line_shown(line) for line in came.lines)
    head = f"{came.customer_id} {came.billing_day} {came.type}"
    return f"{head} [{lines}] total {came.total.major}"


def _line_shown(line: InvoiceLine) -> str:
    code = "" if line.code is None else f" {line.code}"
    return f"{line.type}{code} {line.amount.major}"


def _state(customer: str, expected: ExpectedState, standing: Standing | None) -> Iterator[str]:
    if standing is None:
        yield f"state of {customer}: nothing is known of him"
        return
    for key in sorted(expected.model_fields_set):
        wanted = getattr(expected, key)
        came = _features(wanted, standing) if key == "features" else _STATE[key](standing)
        if isinstance(wanted, dict) and isinstance(came, dict):
            came = {code: came.get(code) for code in wanted}
        if isinstance(wanted, ExpectedSchedule):
            wanted, came = _schedules(wanted, standing.scheduled)
        if hasattr(wanted, "purchased"):
            wanted = (wanted.plan, wanted.purchased)
        if wanted != came:
            yield f"state of {customer}, {key}: expected {_text(wanted)}, came {_text(came)}"


def _schedules(wanted: ExpectedSchedule, came: Scheduled | None) -> tuple[object, object]:
    """What is expected to come and what comes, by the keys that are given, as pairs."""
    if came is None:
        return (wanted.cancel, wanted.on), None
    names = [it for it in ("plan", "interval") if it in wanted.model_fields_set]
    return (
        (wanted.cancel, wanted.on, *(getattr(wanted, name) for name in names)),
        (came.is_cancel, came.on, *(getattr(came, name) for name in names)),
    )


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(it)}" for key, it in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(_text(it) for it in value) + ")"
    return str(value)


def _money(amounts: Sequence[Money]) -> Decimal:
    """The one amount there is; 0 without any. Scenarios have one currency a customer."""
    return sum((amount.major for amount in amounts), Decimal(0))


def _usage(name: str) -> Callable[[Standing], object]:
    return lambda it: {used.feature: getattr(used, name) for used in it.usage}


def _features(wanted: Mapping[str, str], standing: Standing) -> dict[str, str]:
    return {code: "on" if code in standing.features else "off" for code in wanted}


_STATE: Mapping[str, Callable[[Standing], object]] = {
    "status": lambda it: it.status,
    "plan": lambda it: it.plan,
    "interval": lambda it: it.interval,
    "period": lambda it: None if it.period is None else (it.period.start, it.period.end),
    "scheduled": lambda it: it.scheduled and (it.scheduled.is_cancel, it.scheduled.on),
    "credits": lambda it: (it.plan_credits, it.purchased_credits),
    "balance": lambda it: it.balance,
    "customer_credit": lambda it: _money(it.customer_credit),
    "outstanding": lambda it: _money(it.outstanding),
    "access": lambda it: it.has_access,
    "seats": lambda it: dict(it.seats),
    "used": _usage("used"),
    "blocked": _usage("blocked"),
    "limit": lambda it: dict(it.limits),
}
"""How each key of an expected state is read off a standing."""
