"""Rule CUR-3: the currency of a country is that of a pinned table, whatever the day is."""

import pytest

from pipelines.world import currencies, local_currencies


@pytest.mark.parametrize(
    ("country", "currency"),
    [("US", "USD"), ("NL", "EUR"), ("HR", "EUR"), ("BG", "EUR"), ("JP", "JPY"), ("BH", "BHD")],
)
def test_a_country_has_a_currency(country: str, currency: str) -> None:
    assert local_currencies()[country] == currency


def test_every_currency_of_a_country_can_be_paid_in() -> None:
    assert set(local_currencies().values()) <= currencies().keys()
    assert "AQ" not in local_currencies()
