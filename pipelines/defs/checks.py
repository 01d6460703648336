"""What must hold of the staged files before they are published; each check stops publication."""

import dagster as dg

from pipelines import staged_checks
from pipelines.defs.resources import DataRootResource
from pipelines.warehouse import CheckResult


@dg.asset_check(asset="drafts", name="invoice_totals", blocking=True)
def invoice_totals(data_root: DataRootResource) -> dg.AssetCheckResult:
    """The lines of each drafted invoice add up to its subtotal, tax and total. INV-9."""
    return check_result("drafts", staged_checks.draft_totals(data_root.root))


def check_result(asset: str, found: CheckResult) -> dg.AssetCheckResult:
    """What a check found, as Dagster shows it."""
    first = f"; the first is {found.first}" if found.first else ""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=found.name,
        passed=found.has_passed,
        description=f"{found.offending} {found.what}{first}",
        metadata={"offending": found.offending},
    )
