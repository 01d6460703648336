"""What everybody owes: usage by window, drafts, and the books that posting adds to."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import dagster as dg
import polars as pl

from billing_core.invoice import Invoice
from pipelines import steps
from pipelines.defs.checks import check_result
from pipelines.defs.metadata import facts, observe_days
from pipelines.defs.partitions import SINGLE_RUN, WRITER, days, days_asked, last_day
from pipelines.defs.plots import Series, plot
from pipelines.defs.resources import DataRootResource
from pipelines.drafts import draft_table, totals_of
from pipelines.issuing import post_reviewed
from pipelines.snapshots import CHECKS
from pipelines.staged_checks import usage_checks, what_of

SHOWN = ["billing_day", "customer_id", "invoice_type", "total", "currency"]
"""What a preview shows of an invoice."""


@dg.multi_asset(
    name="draft",
    specs=[
        dg.AssetSpec(
            "usage_snapshots",
            deps=["usage_daily", "actions"],
            description="One row per customer, feature and window: what was used, as known "
            "at a cutoff.",
        ),
        dg.AssetSpec(
            "drafts",
            deps=["usage_daily", "actions"],
            description="Invoices that are due and not posted, by billing day; every run "
            "replaces them. Of a posted day nothing is drafted and nothing written.",
        ),
    ],
    check_specs=[
        dg.AssetCheckSpec(
            name, asset="usage_snapshots", blocking=True, description=f"No {what_of(name)}."
        )
        for name in CHECKS
    ],
    partitions_def=days,
    group_name="billing",
    backfill_policy=SINGLE_RUN,
    pool=WRITER,
)
def draft(
    context: dg.AssetExecutionContext, data_root: DataRootResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Folds every customer through the last day asked for, metering the windows of the fold."""
    root = data_root.root
    drafted = steps.draft(root, last_day(context))
    summary, invoices = drafted.summary, draft_table(root, drafted.summary, "draft_invoices")
    yield dg.MaterializeResult(
        asset_key="usage_snapshots",
        metadata=facts(
            rows_out=len(drafted.snapshots.snapshots),
            windows=len(drafted.rated.requests),
            set_aside=drafted.snapshots.set_aside,
        ),
        check_results=[
            check_result("usage_snapshots", found) for found in usage_checks(root, drafted)
        ],
    )
    by_day = _by_day(invoices, drafted.rated.invoices)
    observe_days(context, "drafts", by_day)
    yield dg.MaterializeResult(
        asset_key="drafts",
        metadata=facts(
            hash=summary.hash,
            is_new=summary.is_new,
            rows_out=summary.invoices,
            lines=summary.lines,
            faults=summary.faults,
            holds=summary.holds,
            totals=dict(summary.totals),
            problems="\n".join(map(str, drafted.known.notes)),
            posted_days="\n".join(
                f"{day}: {it['state']}"
                for day, it in by_day.items()
                if day in days_asked(context) and it["posted"]
            ),
            plot=money_by_day(invoices["invoice_id"], drafted.rated.invoices),
            preview=invoices.filter(pl.col("billing_day").is_in(days_asked(context))).select(SHOWN),
        ),
    )


def money_by_day(drafts: Iterable[str], made: Iterable[Invoice]) -> dg.MarkdownMetadataValue:
    """Invoice totals by billing day, a drawing for each currency.

    takes: drafts, ids of invoices that are not posted; made, all invoices, those included.
    """
    is_draft = set(drafts)
    days: dict[str, dict[str, dict[date, Decimal]]] = {}
    for invoice in made:
        drawing = days.setdefault(invoice.currency.code, {"posted": {}, "draft": {}})
        values = drawing["draft" if invoice.id in is_draft else "posted"]
        values[invoice.billing_day] = values.get(invoice.billing_day, Decimal(0)) + (
            invoice.total.major
        )
    drawings: dict[str, Series] = {
        f"money by day in {code}": drawing for code, drawing in sorted(days.items())
    }
    return plot(drawings or {"money by day": {}})


def _by_day(drafts: pl.DataFrame, made: Sequence[Invoice]) -> dict[date, dict[str, object]]:
    """What each billing day has: drafts, and invoices that are posted and stay as they are."""
    drafted = dict(drafts.group_by("billing_day").len().iter_rows())
    days_made = sorted(Counter(invoice.billing_day for invoice in made).items())
    return {day: _day(drafted.get(day, 0), count) for day, count in days_made}


def _day(drafts: int, made: int) -> dict[str, object]:
    posted = made - drafts
    state = f"{posted} invoices are posted; nothing was written for them" if posted else "open"
    return {"drafts": drafts, "posted": posted, "state": state}


class Posting(dg.Config):
    """What is posted: the drafts with this hash, under this date (default: today, UTC)."""

    reviewed: str
    issued_on: str | None = None


@dg.asset(deps=["drafts"], group_name="books", pool=WRITER)
def books(config: Posting, data_root: DataRootResource) -> dg.MaterializeResult[None]:
    """Postings: numbered, immutable, chained. Posts only the drafts whose hash is given."""
    issued_on = date.fromisoformat(config.issued_on or datetime.now(UTC).date().isoformat())
    posted = post_reviewed(data_root.root, draft_hash=config.reviewed, issued_on=issued_on)
    return dg.MaterializeResult(
        metadata=facts(
            posting=posted.posting or "nothing to post",
            invoices=len(posted.invoices),
            first_number=posted.invoices[0].number if posted.invoices else "",
            last_number=posted.invoices[-1].number if posted.invoices else "",
            faults=len(posted.left_out),
            totals=totals_of(it.invoice for it in posted.invoices),
            plot=money_by_day((), (it.invoice for it in posted.invoices)),
            left_out="\n".join(f"{who}: {why}" for who, why in posted.left_out.items()),
        )
    )
