"""Usage that lands after the cutoff of its window: what is rated again, and what is waived.

A posted window within reach is rated with all that is known now; the difference from what
was booked is the next invoice's adjustment. Whether a customer pays for more is a policy;
what he used less is always his.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction

from billing_core.invoice import Invoice, InvoiceLine, LineType, UsedFeature
from billing_core.period import Window
from billing_core.rating import RatedWindow
from billing_core.setting import Setting


def is_charged(window: Window, setting: Setting) -> bool:
    """Whether a window is behind what is posted: what lands for it now is late. Rule USE-7."""
    through_at = setting.booked_through_at
    if window.end_at == through_at:
        return invoice_of(window, setting) is not None
    return window.end_at < through_at


def booked_cutoff(window: Window, setting: Setting) -> date:
    """The last landing day with which a window is rated that is behind a posted invoice.

    returns: of a window within the lookback, and of the last one at any rate, all that is
             known; of an older one what was known when it was last looked at, so that what
             was corrected by then, and a credit that came of it, stay.
    rule:    USE-7.
    """
    if is_within_reach(window.end, window.end_at, setting):
        return max(setting.cutoff_on(window.end_at), setting.known_on)
    if invoice_of(window, setting) is None:
        return setting.cutoff_on(window.end_at)
    last_day = _reached_until(window.end, window.end_at, setting)
    after = (it for it in setting.booked.values() if it.made_at.date() > last_day)
    return min(after, key=lambda it: (it.made_at, it.known_on)).known_on


def is_within_reach(end: date, end_at: datetime, setting: Setting) -> bool:
    """Whether a window behind what is posted is rated with all that is known. Rule USE-7.

    takes: the window's end, at which its policies count; at least one window is within reach.
    """
    return setting.booked_through_at.date() <= _reached_until(end, end_at, setting)


def _reached_until(end: date, end_at: datetime, setting: Setting) -> date:
    """The last day of a posted invoice behind which a window is still looked at."""
    windows = max(setting.policies_at(end_at).late_usage_windows, 1)
    return end + timedelta(days=31 * windows + 1)


def is_more_waived(at: datetime, setting: Setting) -> bool:
    """Whether late usage takes away but adds nothing, for windows that ended then. USE-7."""
    policies = setting.policies_at(at)
    return policies.late_usage == "waive" or not policies.late_usage_windows


def invoice_of(window: Window, setting: Setting) -> Invoice | None:
    """The posted invoice that charged a window; None where none did."""
    return next((item for item in setting.booked.values() if item.window == window), None)


def without_more(rated: RatedWindow, booked: Invoice | None) -> RatedWindow:
    """A window rated again, in which late usage takes away but adds nothing.

    takes:   booked, what the window was charged by; None where nothing was.
    returns: of a feature that costs more now the booked line, and the use that was not
             billed then as waived.
    rule:    USE-7, policy `late_usage: waive`.
    """
    now = _overage(rated.lines)
    then = _overage(() if booked is None else booked.lines)
    billed = {} if booked is None else {item.feature: item.billed for item in booked.usage}
    more = {
        code
        for code, line in now.items()
        if code not in then or line.amount.minor > then[code].amount.minor
    }
    lines = [then.get(code) if code in more else line for code, line in now.items()]
    usage = (
        _waived_above(item, billed.get(item.feature, Fraction(0))) if item.feature in more else item
        for item in rated.usage
    )
    return RatedWindow(tuple(line for line in lines if line is not None), tuple(usage))


def at_most_booked(rated: RatedWindow, booked: Invoice | None) -> RatedWindow:
    """A window on credits or a balance drawn again: no larger deficit than was charged.

    takes:   booked, what the window was charged by; None where nothing was.
    returns: of a larger deficit the booked lines, and what was not billed then as waived.
    rule:    USE-10: late use draws what its own window had left, and what exceeds it is waived.
    """
    then = () if booked is None else tuple(line for line in booked.lines if line.rule == "BAL-4")
    if sum(it.amount.minor for it in rated.lines) <= sum(it.amount.minor for it in then):
        return rated
    billed = {} if booked is None else {item.feature: item.billed for item in booked.usage}
    usage = (_waived_above(item, billed.get(item.feature, Fraction(0))) for item in rated.usage)
    return RatedWindow(then, tuple(usage))


def _overage(lines: Iterable[InvoiceLine]) -> dict[str, InvoiceLine]:
    return {
        line.code: line
        for line in lines
        if line.type is LineType.FEATURE_OVERAGE and line.code is not None
    }


def _waived_above(used: UsedFeature, billed: Fraction) -> UsedFeature:
    kept = min(used.billed, billed)
    return replace(used, billed=kept, waived=used.waived + used.billed - kept)
