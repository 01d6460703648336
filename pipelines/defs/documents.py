"""What people get: PDFs of posted invoices, the outbox that a mailer empties, the report."""

import dagster as dg

from pipelines.books import read_books
from pipelines.charges import hand_out_charges
from pipelines.defs.metadata import facts
from pipelines.defs.partitions import SINGLE_RUN, WRITER, months, months_asked
from pipelines.defs.resources import DataRootResource
from pipelines.documents import locales, render_documents
from pipelines.notices import hand_out_notices
from pipelines.outbox import fill_outbox, read_letters
from pipelines.revenue import write_revenue_report
from reports.pool import RenderFault


@dg.asset(deps=["books"], group_name="documents")
def invoice_pdfs(data_root: DataRootResource) -> dg.MaterializeResult[None]:
    """One PDF for each posted invoice; one that is there is not made again."""
    results = render_documents(data_root.root)
    faults = [result for result in results if isinstance(result, RenderFault)]
    made = [it for it in results if not isinstance(it, RenderFault) and it.is_new]
    return dg.MaterializeResult(
        metadata=facts(
            rows_in=len(results),
            rows_out=len(results) - len(faults),
            made=len(made),
            faults=len(faults),
            problems="\n".join(f"{it.number}: [{it.code}] {it.what}" for it in faults),
        )
    )


@dg.asset(deps=["invoice_pdfs"], group_name="documents", pool=WRITER)
def outbox(data_root: DataRootResource) -> dg.MaterializeResult[None]:
    """What is ready to be sent, to be collected and to be told, each once."""
    root = data_root.root
    books, spoken = read_books(root), locales(root)
    added = fill_outbox(root, books.invoices, locales=spoken)
    charges = hand_out_charges(root, books)
    notices = hand_out_notices(root, locales=spoken)
    return dg.MaterializeResult(
        metadata=facts(
            added=len(added),
            charge_records=len(charges),
            notices=len(notices),
            rows_out=len(read_letters(root)),
        )
    )


@dg.asset(
    deps=["warehouse"],
    partitions_def=months,
    group_name="documents",
    backfill_policy=SINGLE_RUN,
)
def revenue_report(
    context: dg.AssetExecutionContext, data_root: DataRootResource
) -> dg.MaterializeResult[None]:
    """The revenue report of a month as PDF, read from the published warehouse."""
    paths = [write_revenue_report(data_root.root, month) for month in months_asked(context)]
    return dg.MaterializeResult(metadata=facts(files="\n".join(map(str, paths))))
