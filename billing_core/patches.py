"""Patches over one plan of the catalog: what was negotiated with a single customer.

A patch is a JSON merge patch. Its keys are those of a plan; what of it is wrong by itself is
found when it is read, what is wrong over a certain plan when it is laid over that plan.
"""

from collections.abc import Iterable

from pydantic import ValidationError

from billing_core.catalog import Catalog, Plan
from billing_core.catalog_checks import plan_problems
from billing_core.errors import Problem
from billing_core.schema import Tree, merge_patch, problems_of

PREFIX = "CATALOG"

LASTING = ("consumption_model", "free", "public")
"""Keys of a plan that are no terms: they stay the catalog's."""


def patched_plan(
    catalog: Catalog, code: str, patches: Iterable[Tree], *, file: str
) -> Plan | tuple[Problem, ...]:
    """A plan of the catalog with patches laid over it in turn, or all that is wrong with it.

    takes: file, for messages.
    rule:  FAIR-4.
    """
    before = catalog.plans[code]
    tree = before.model_dump(mode="json", exclude_unset=True)
    for patch in patches:
        tree = merge_patch(tree, patch)
    try:
        plan = Plan.model_validate(tree)
    except ValidationError as error:
        return problems_of(error.errors(), Plan, prefix=PREFIX, file=file)
    changed = tuple(
        Problem(f"{PREFIX}-25", file, key, f"{key} of a plan is not negotiated", f"leave {key} out")
        for key in LASTING
        if getattr(plan, key) != getattr(before, key)
    )
    return changed or plan_problems(catalog, code, plan, file=file) or plan


def patch_problems(patch: Tree, *, path: str, prefix: str, file: str) -> tuple[Problem, ...]:
    """What is wrong with a patch whatever plan it is laid over: unknown keys, unreadable values.

    takes: path, of the patch in its file, prefix of the codes.
    """
    try:
        Plan.model_validate({"name": "any", "consumption_model": "metered", **_given(patch)})
    except ValidationError as error:
        found = problems_of(
            [it for it in error.errors() if it["type"] != "missing"],
            Plan,
            prefix=prefix,
            file=file,
        )
        return tuple(
            Problem(it.code, it.file, f"{path}.{it.path}", it.what, it.mend) for it in found
        )
    return ()


def _given(patch: Tree) -> Tree:
    """A patch without the keys that it takes away."""
    return {
        key: _given(value) if isinstance(value, dict) else value
        for key, value in patch.items()
        if value is not None
    }
