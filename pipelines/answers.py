"""What each command's answer looks like to a person: tables and lines, nothing worked out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from rich.table import Table

from billing_core.actions import row_of
from billing_core.invoice import Invoice
from billing_core.money import Money
from billing_core.period import Period
from pipelines.console import grouped, table
from pipelines.paths import DataRoot
from pipelines.reasons import HOLD_REASONS
from pipelines.world import currencies
from reports.text import draft_text, working

if TYPE_CHECKING:
    from billing_core.catalog_diff import Felt
    from billing_core.previewing import Preview
    from pipelines.catalog_diffs import Comparison
    from pipelines.catalogs import Validation
    from pipelines.check import CheckedAll
    from pipelines.demo import Demo
    from pipelines.drafts import DraftSummary
    from pipelines.findings import Findings
    from pipelines.generate import Generated
    from pipelines.moving_in import Imported
    from pipelines.new_root import Begun
    from pipelines.previews import Previewed
    from pipelines.status import Status

Shown = Sequence[Table | str]
Facts = Mapping[str, Mapping[str, object]]

MOST_CHANGES = 20
"""How many changed lines `status` lists if not asked for all."""

MOST_LISTED = 20
"""How many of each kind of finding are listed; programs get all."""


def begun(made: "Begun") -> Shown:
    """What `init` made."""
    if not made.made:
        return [f"{made.root} is a data root already; nothing was changed"]
    return [
        f"Begun in {made.root}:",
        *(f"  {path.relative_to(made.root)}" for path in made.made),
        f"Next: fairbill --root {made.root} demo, or land files and run",
    ]


def imported(root: DataRoot, made: "Imported") -> Shown:
    """What `import` landed, and what is wrong with each row that it left out."""
    problems = [str(problem) for problem in made.problems]
    if made.path is None:
        return [*problems, "No customer was landed."]
    where = made.path.relative_to(root.root)
    told = f"{made.customers:,} customers, {made.actions:,} actions, in {where}"
    if not made.is_new:
        return [*problems, f"Landed before, nothing has changed: {told}"]
    return [*problems, f"Landed: {told}", f"Next: fairbill --root {root.root} run"]


def sample(root: DataRoot, made: "Generated") -> Shown:
    """What `generate` landed."""
    rows = [
        ("customers", made.customers),
        ("actions", made.actions),
        ("events", made.events),
        ("of which late", made.late_rows),
        ("rows that repeat one", made.duplicates),
        ("bad rows", made.bad_rows),
        ("files", made.files),
        ("first day", made.first_day),
        ("last landing day", made.last_day),
    ]
    return [
        table(f"Landed in {root.root / 'landing'}", ["what", ">how much"], rows),
        f"Next: fairbill --root {root.root} run --through {made.last_day}",
    ]


def validation(found: "Validation") -> Shown:
    """Every problem, then every warning."""
    problems = [str(problem) for problem in found.problems]
    warnings = [f"warning: {warning}" for warning in found.warnings]
    return [*problems, *warnings] or ["The catalog and the actions are in order."]


def comparison_value(found: "Comparison") -> dict[str, object]:
    """What a catalog version changes, for programs."""
    return {
        "old": found.old,
        "new": found.new,
        "effective_on": found.effective_on,
        "customers": found.customers,
        "problems": list(found.problems),
        "changes": [
            {
                "path": ".".join(change.path),
                "old": _field_text(change.old),
                "new": _field_text(change.new),
                "verdict": str(change.verdict),
                "reach": str(change.reach),
                "rule": change.rule,
                "reason": change.reason,
                "customers": reached.customers,
                "first": reached.first,
                "last": reached.last,
            }
            for change, reached in found.changes
        ],
    }


def comparison(found: "Comparison") -> Shown:
    """What a catalog version changes, a row a field; below, how many of each kind."""
    head = f"{found.new} against {found.old}, in force from {found.effective_on}"
    problems = [str(problem) for problem in found.problems]
    if not found.changes:
        return [head, "Nothing changes.", *problems]
    rows = [
        (
            ".".join(change.path),
            f"{_short(change.old)} -> {_short(change.new)}",
            change.verdict,
            f"{change.reach}\n{change.rule}: {change.reason}",
            "not known" if reached.customers is None else grouped(reached.customers),
            _span(reached),
        )
        for change, reached in found.changes
    ]
    columns = ["field", "change", "for customers", "when, and why", ">they are", "reached"]
    verdicts = Counter(str(change.verdict) for change, _ in found.changes)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    whom = (
        "No run has drafted yet, so that customers are not counted."
        if found.customers is None
        else f"{found.customers:,} present customers."
    )
    return [table(head, columns, rows), f"{counts}. {whom}", *problems]


def _span(reached: "Felt") -> str:
    if reached.first is None or reached.first == reached.last:
        return str(reached.first or "")
    return f"{reached.first} to {reached.last}"


def _short(value: object) -> str:
    text = str(_field_text(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _field_text(value: object) -> str | None:
    """A value of a catalog as a person writes it, whole parts as JSON."""
    match value:
        case None:
            return None
        case BaseModel():
            return value.model_dump_json(exclude_unset=True)
        case tuple():
            return ", ".join(str(_field_text(part)) for part in value)
        case bool():
            return str(value).lower()
    return str(value)


def run(facts: Facts, now: "Status") -> Shown:
    """What each asset did, and the drafts that came of it."""
    if now.drafts is None:
        return steps(facts)
    changes = _changes(now, is_full=False)
    return [*steps(facts), *drafts(now.drafts), *changes, *findings(now.findings), *now.notes]


def steps(facts: Facts) -> Shown:
    """One row an asset: what went in and came out; below, what was wrong."""
    rows = [
        (
            asset,
            *(grouped(each.get(name)) for name in ("rows_in", "rows_out", "faults")),
            _rest(each),
        )
        for asset, each in facts.items()
    ]
    problems = [str(each["problems"]) for each in facts.values() if each.get("problems")]
    return [table("", ["asset", ">rows in", ">rows out", ">faults", "made"], rows), *problems]


def drafts(summary: "DraftSummary") -> Shown:
    """What would be posted, and under which hash."""
    rows = [
        ("through", summary.through),
        ("invoices", grouped(summary.invoices)),
        ("lines", grouped(summary.lines)),
        *((f"total {code}", grouped(amount)) for code, amount in summary.totals.items()),
        ("customers with faults", summary.faults),
        ("customers on hold", summary.holds),
        ("hash", summary.hash[:12]),
    ]
    return [table("Drafts", ["", ">"], rows)]


def posting(facts: Facts) -> Shown:
    """What was posted, and what was made of it."""
    made = facts["books"]
    rows = [
        ("invoices", grouped(made["invoices"])),
        ("numbers", f"{made['first_number']} to {made['last_number']}" if made["invoices"] else ""),
        ("totals", made["totals"]),
    ]
    left_out = str(made["left_out"])
    waiting = [f"Not posted:\n{left_out}"] if left_out else []
    return [table(f"Posting {made['posting']}", ["", ">"], rows), *waiting, *steps(facts)]


def publication(made: Mapping[str, object]) -> Shown:
    """Whether a warehouse was published, and how to open it."""
    word = "Published" if made["is_new"] else "Already published, nothing has changed"
    return [f"{word}: {made['path']} (publication {made['publication']})"]


def status(now: "Status", *, is_full: bool) -> Shown:
    """Where a data root stands."""
    landed, metered, posted = now.landed, now.metered, now.posted
    rows = [
        (
            "landed",
            f"{landed.files:,} files, {landed.rows:,} rows",
        ),
        ("set aside whole", f"{landed.set_aside:,} files"),
        ("metered", f"{metered.days:,} days with files"),
        ("metered through", metered.through),
        ("posted", f"{posted.invoices:,} invoices in {posted.postings} postings"),
        ("to post", f"{now.to_post:,} drafts"),
        ("last number", posted.last_number),
        *((f"posted {code}", grouped(amount)) for code, amount in posted.totals.items()),
        ("documents to mail", f"{now.letters:,}"),
        ("charge records", f"{now.charges:,} handed out"),
        ("notices to mail", f"{now.notices:,}"),
        ("published", _published(now)),
    ]
    stand = table(str(now.root), ["", "now"], rows)
    if now.drafts is None:
        return [stand, "No run has made drafts yet: fairbill run --through DATE"]
    changes = _changes(now, is_full=is_full)
    return [stand, *drafts(now.drafts), *changes, *findings(now.findings), *now.notes]


def findings(found: "Findings") -> Shown:
    """What to look at after a run: one table of a kind, none where there is nothing."""
    return [
        *_faults(found),
        *_holds(found),
        *_engine_changes(found),
        *_set_aside(found),
        *_refused(found),
        *_checkouts(found),
        *_purchases(found),
        *_uncollectible(found),
        *_silent(found),
    ]


def _faults(found: "Findings") -> Shown:
    rows = [(it.customer_id, it.code, f"{it.what}\nmend: {it.mend}") for it in found.faults]
    return _listed("Customers that cannot be billed", ["customer", "code", "why"], rows)


def _engine_changes(found: "Findings") -> Shown:
    rows = [
        (it.customer_id, it.invoice_id, it.code or it.line_type, str(it.booked), str(it.now))
        for it in found.engine_changes
    ]
    columns = ["customer", "invoice", "line", ">booked", ">by this version"]
    return _listed("Posted lines that this version bills otherwise", columns, rows)


def _holds(found: "Findings") -> Shown:
    rows = [(it.customer_id, it.reason, HOLD_REASONS[it.reason]) for it in found.holds]
    return _listed(
        "Customers whose invoices are on hold", ["customer", "reason", "how to release them"], rows
    )


def _set_aside(found: "Findings") -> Shown:
    rows = [
        (it.reason, grouped(it.count), f"{it.what}\nmend: {it.mend}\nfirst: {it.place}")
        for it in found.set_aside
    ]
    return _listed("Reasons for which something is set aside", ["reason", ">count", "why"], rows)


def _refused(found: "Findings") -> Shown:
    rows = [
        (it.at.date(), it.customer_id, it.action_id, f"{it.reason}: {it.what}")
        for it in found.refused
    ]
    return _listed("Actions refused", ["on", "customer", "action", "why"], rows)


def _checkouts(found: "Findings") -> Shown:
    rows = [
        (
            it.customer_id,
            f"{it.plan} from {it.began_on}",
            "" if it.total is None else f"{it.total:,.2f} {it.currency}",
            f"expired on {it.expires_at.date()}: subscribe again"
            if it.has_expired
            else f"land its {_awaited(it.total)} by {it.expires_at.date()}",
        )
        for it in found.checkouts
    ]
    return _listed("Checkouts without payment", ["customer", "plan", ">total", "state"], rows)


def _purchases(found: "Findings") -> Shown:
    rows = [
        (it.customer_id, f"{it.name} on {it.asked_on}", f"{it.total:,.2f} {it.currency}")
        for it in found.purchases
    ]
    columns = ["customer", "purchase: there when its payment is landed", ">total"]
    return _listed("Purchases without payment", columns, rows)


def _uncollectible(found: "Findings") -> Shown:
    rows = [
        (it.customer_id, it.invoice_id, f"{it.unpaid:,.2f} {it.currency}")
        for it in found.uncollectible
    ]
    columns = ["customer", "invoice", ">unpaid: collect it, or write_off"]
    return _listed("Invoices that no retry could collect", columns, rows)


def _silent(found: "Findings") -> Shown:
    rows = [
        (
            it.customer_id,
            it.charge_record_id,
            f"{it.attempt}, due {it.due_at:%Y-%m-%d %H:%M} UTC",
            f"{it.unpaid:,.2f} {it.currency}",
        )
        for it in found.silent
    ]
    columns = ["customer", "charge record", "attempt", ">unpaid: ask the provider, land a payment"]
    return _listed("Attempts to collect without result for 24 hours", columns, rows)


def _awaited(total: object) -> str:
    """What a checkout waits for: a trial costs nothing and has no total. Rules SUB-3, SUB-8."""
    return "trial_setup" if total is None else "payment"


def _listed(what: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Shown:
    """The first rows under their number; nothing where there are none."""
    if not rows:
        return []
    more = len(rows) - MOST_LISTED
    shown = table(f"{what}: {len(rows):,}", columns, rows[:MOST_LISTED])
    return [shown, *([f"and {more:,} more: fairbill status --json"] if more > 0 else [])]


def preview_value(found: "Previewed") -> dict[str, object]:
    """What an action would do, for programs."""
    seen = found.found
    return {
        "action": row_of(found.action),
        "usage_known_through": found.through,
        "outcome": {
            "status": str(seen.outcome.status),
            "what": seen.outcome.what,
            "scheduled_on": seen.outcome.scheduled_on,
            "reason": seen.outcome.reason,
        },
        "before": seen.before,
        "after": seen.after,
        "invoices": [_invoice_value(invoice) for invoice in seen.invoices],
        "upcoming": [_invoice_value(invoice) for invoice in seen.upcoming],
        "notices": list(seen.notices),
    }


def _invoice_value(invoice: Invoice) -> dict[str, object]:
    return {
        "id": invoice.id,
        "type": str(invoice.type),
        "billing_day": invoice.billing_day,
        "currency": invoice.currency.code,
        "lines": [
            {
                "type": str(line.type),
                "code": line.code,
                "name": line.name,
                "amount": line.amount.major,
                "quantity": line.quantity,
                "unit": line.unit,
                "unit_price": line.unit_price,
                "service": line.service,
                "rule": line.rule,
                "working": working(line),
            }
            for line in invoice.lines
        ],
        "subtotal": invoice.subtotal.major,
        "tax": invoice.tax.major,
        "total": invoice.total.major,
    }


def preview(found: "Previewed") -> Shown:
    """What an action would do: outcome, where the customer stands, invoices, notices."""
    seen, action = found.found, found.action
    shown: list[Table | str] = [
        f"{action.do} of {action.customer} at {action.at:%Y-%m-%d %H:%M} UTC: {seen.outcome}",
        f"  {seen.outcome.what}",
        _places(seen),
    ]
    for title, invoices in (("It makes", seen.invoices), ("Then comes", seen.upcoming)):
        for invoice in invoices:
            head = f"{title}: {invoice.type} on {invoice.billing_day}, {invoice.plan_name}"
            shown += [head, draft_text(invoice, found.numbers)]
    if not seen.invoices:
        shown.append("It makes no invoice.")
    shown += [
        f"Notice on {it.on}: {it.kind}{'' if it.feature is None else f', {it.feature}'}"
        for it in seen.notices
    ]
    return [*shown, f"With the usage known through {found.through}. Nothing was written."]


def _places(seen: "Preview") -> Table:
    """Where the customer stands before and after, the rows that say something."""
    rows = []
    for each in fields(seen.before):
        before, after = (getattr(place, each.name) for place in (seen.before, seen.after))
        if before or after:
            rows.append((each.name.replace("_", " "), _place(before), _place(after)))
    return table("", ["", "before", "after"], rows)


def _place(value: object) -> str:
    match value:
        case None:
            return ""
        case Period():
            return f"{value.start} to {value.end}"
        case Mapping():
            return ", ".join(f"{code}: {held}" for code, held in value.items())
    return str(value)


def check_value(checked: "CheckedAll") -> dict[str, object]:
    """What `check` found, for programs."""
    return {
        "passed": sum(not it.differences for it in checked.checked),
        "failed": sum(bool(it.differences) for it in checked.checked),
        "problems": list(checked.loaded.problems),
        "scenarios": [
            {"scenario": it.scenario.name, "differences": list(it.differences)}
            for it in checked.checked
        ],
    }


def check(checked: "CheckedAll") -> Shown:
    """One line a scenario, and below it what differs."""
    lines = [str(problem) for problem in checked.loaded.problems]
    for it in checked.checked:
        lines.append(f"{'FAIL' if it.differences else 'ok  '}  {it.scenario.name}")
        lines += [f"      {line}" for text in it.differences for line in text.splitlines()]
    failed = sum(bool(it.differences) for it in checked.checked)
    lines.append(f"{len(checked.checked) - failed} passed, {failed} failed")
    return lines


def demo(made: "Demo") -> Shown:
    """What the demo made, where it lies, and how to look further."""
    rows = [(it.what, grouped(it.count), it.place) for it in made.made]
    return [
        table(f"Made in {made.seconds} s", ["what", ">how many", "where"], rows),
        f"Open the warehouse, in any DuckDB:\n{made.query}",
        f"One invoice with its working: fairbill --root {made.root} invoice {made.number}",
    ]


def _changes(now: "Status", *, is_full: bool) -> Shown:
    """The lines that are new, gone or changed, the first of them if not asked for all."""
    if now.changes.is_empty():
        return []
    rows = list(now.changes.iter_rows(named=True))
    listed = [_change(row) for row in (rows if is_full else rows[:MOST_CHANGES])]
    more = len(rows) - len(listed)
    title = f"{len(rows):,} lines differ from the drafts before"
    shown = table(title, ["day", "customer", "line and why", ">before", ">after"], listed)
    return [shown, *([f"and {more:,} more: fairbill status --changes"] if more else [])]


def _change(row: Mapping[str, Any]) -> tuple[object, ...]:
    """A changed line: amounts before and after, of a new or a gone line the one that there is."""
    line = " ".join(filter(None, (row["change"], row["line_type"], row["code"])))
    amounts = (row["amount_minor_before"], row["amount_minor_after"])
    shown = (_amount(minor, row["currency"]) for minor in amounts)
    return (row["billing_day"], row["customer_id"], f"{line}: {row['why']}", *shown)


def _amount(minor: int | None, currency: str) -> str:
    if minor is None:
        return ""
    return f"{Money(minor, currencies()[currency]).major:,} {currency}"


def _published(now: "Status") -> str:
    if now.published is None:
        return "never"
    state = "current" if now.is_current else "older than what is drafted or posted"
    return f"publication {now.published.publication}, {state}"


def _rest(each: Mapping[str, object]) -> str:
    """What an asset says of itself beyond counts, in short: no lists, no tables."""
    left = {"rows_in", "rows_out", "faults", "problems", "hash", "left_out", "path", "posted_days"}
    said = {
        name.replace("_", " "): grouped(value)
        for name, value in each.items()
        if name not in left and value and "\n" not in str(value)
    }
    return ", ".join(f"{name} {value}" for name, value in said.items())
