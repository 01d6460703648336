"""Posting with what the catalog and the customers' terms say: numbers and days to pay.

What can be posted and how is decided in `posting`; this reads what that has to know.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import partial

import polars as pl

from billing_core.catalog import Catalog
from pipelines.booked_states import states_at_boundaries
from pipelines.datasets import current_file
from pipelines.documents import catalog_versions, in_force
from pipelines.paths import DataRoot
from pipelines.posting import Numbering, Posted, post


def post_reviewed(root: DataRoot, *, draft_hash: str, issued_on: date) -> Posted:
    """Post the drafts with this hash, dated `issued_on`. Rules PST-2, PST-6, PAY-1.

    raises: what `posting.post` raises; nothing was posted then.
    """
    end_of_day = datetime.combine(issued_on, time(), UTC) + timedelta(days=1)
    catalog = in_force(catalog_versions(root), end_of_day).catalog
    return post(
        root,
        draft_hash=draft_hash,
        issued_on=issued_on,
        numbering=numbering_of(catalog),
        payment_days=payment_days(root, catalog),
        states_of=partial(states_at_boundaries, root),
    )


def numbering_of(catalog: Catalog) -> Numbering:
    """How the seller of a catalog version numbers; sellers are told apart by their tax id."""
    seller = catalog.seller
    return Numbering(
        seller=seller.tax_id or seller.name,
        format=seller.numbering.format,
        next=seller.numbering.next,
    )


def payment_days(root: DataRoot, catalog: Catalog) -> dict[str, int]:
    """Days to pay of the customers who pay on terms, by customer id. Rule PAY-1."""
    path = current_file(root, "customers", "all")
    if path is None:
        return {}
    policies = catalog.policies
    own = pl.col("collection").fill_null(policies.collection)
    on_terms = pl.read_parquet(path, glob=False).filter(own == "on_terms")
    return {
        customer_id: policies.payment_days if days is None else days
        for customer_id, days in on_terms.select("customer_id", "payment_days").iter_rows()
    }
