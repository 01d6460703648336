"""Rules PST-4, CAT-1: an error says what, where and how to mend, and has a lasting code."""

from decimal import Decimal

from billing_core.errors import NegativeQuantity, Problem, UnknownCurrency, fault_of


def test_an_error_becomes_the_fault_of_one_customer() -> None:
    error = NegativeQuantity(name="usage of calls", quantity=Decimal(-1))
    fault = fault_of("acme", error)
    assert (fault.customer_id, fault.code) == ("acme", "QTY-01")
    assert (fault.what, fault.where, fault.mend) == (error.what, error.where, error.mend)
    assert str(error) == f"[QTY-01] {fault.what}\n  where: {fault.where}\n  mend:  {fault.mend}"


def test_a_currency_without_a_minor_unit_is_named() -> None:
    assert "no minor unit is known for currency 'XXX'" in str(UnknownCurrency("XXX"))


def test_a_problem_reads_like_an_error() -> None:
    problem = Problem("CATALOG-01", "catalog/a.yaml", "plans.pro", "it is not", "make it so")
    assert str(problem) == (
        "[CATALOG-01] it is not\n  where: catalog/a.yaml: plans.pro\n  mend:  make it so"
    )
