"""Whether this engine bills a posted invoice otherwise than it was billed, from the same inputs.

Three things are told apart: what is booked, what the booked inputs make now, and what is known
today. From the first to the second is the engine's own change; late usage is the rest.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from billing_core.actions import Action
from billing_core.invoice import Invoice
from billing_core.money import Money
from billing_core.setting import Setting


@dataclass(frozen=True, slots=True)
class EngineChange:
    """Lines of a posted invoice that come out otherwise. Rule PST-5.

    line_type, code: what they are for; booked, now: their sums, as posted and as rated now.
    """

    customer_id: str
    invoice_id: str
    line_type: str
    code: str | None
    booked: Money
    now: Money


def as_posted(setting: Setting, known_on: date) -> Setting:
    """The setting of the run that drafted what was posted then: what it knew, and no more."""
    return replace(setting, known_on=known_on, takes_later_usage=True)


def known_by(actions: Iterable[Action], known_on: date) -> tuple[Action, ...]:
    """The actions that had arrived by a landing day, in the order given. Rule ACT-1."""
    return tuple(action for action in actions if action.received_at.date() <= known_on)


def engine_changes(booked: Invoice, now: Invoice | None) -> tuple[EngineChange, ...]:
    """What differs between a posted invoice and what its own inputs make now.

    takes:   now, None where the history does not make the invoice any more.
    returns: by line type and code; nothing where all amounts are the same.
    rule:    PST-5.
    """
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for place, invoice in enumerate((booked, now)):
        for line in () if invoice is None else invoice.lines:
            sums[str(line.type), line.code or ""][place] += line.amount.minor
    return tuple(
        EngineChange(
            customer_id=booked.customer_id,
            invoice_id=booked.id,
            line_type=line_type,
            code=code or None,
            booked=Money(was, booked.currency),
            now=Money(is_now, booked.currency),
        )
        for (line_type, code), (was, is_now) in sorted(sums.items())
        if was != is_now
    )
