"""What the billing core needs of the world, as values: currencies, and time zones.

Currencies are ISO 4217's with their minor digits. Zones come from the pinned package
`tzdata` alone, never from the machine, so that the same input gives the same bytes.
"""

import zoneinfo
from collections.abc import Iterable
from datetime import date, tzinfo
from functools import cache
from importlib.metadata import version

from babel.core import Locale, get_global
from babel.numbers import get_territory_currencies
from iso4217 import Currency as IsoCurrency

from billing_core.money import Currency

zoneinfo.reset_tzpath(to=[])

CURRENCIES_ON = date(2026, 1, 1)
"""The day of the pinned table of currencies: never the machine's today."""


@cache
def currencies() -> dict[str, Currency]:
    """Every ISO 4217 currency that has a minor unit, by code."""
    return {
        item.code: Currency(item.code, item.exponent)
        for item in IsoCurrency
        if item.exponent is not None
    }


@cache
def local_currencies() -> dict[str, str]:
    """The currency of each country that has one, by ISO 3166 code. Rule CUR-3.

    A country whose currency ISO 4217 lists no longer has the one that ISO names it under.
    """
    found = {}
    for country in sorted(code for code in get_global("territory_currencies") if len(code) == 2):
        tender = get_territory_currencies(country, start_date=CURRENCIES_ON)
        if tender:
            found[country] = tender[0] if tender[0] in currencies() else _named(country)
    return {country: currency for country, currency in found.items() if currency}


def _named(country: str) -> str | None:
    """The currency under which ISO 4217 names a country."""
    name = str(Locale("en").territories.get(country, "")).upper()
    return next((item.code for item in IsoCurrency if name in item.country_names), None)


def zones(names: Iterable[str]) -> dict[str, tzinfo]:
    """The zones of some IANA names; a name that does not exist is left out."""
    found = {name: zone(name) for name in sorted(set(names))}
    return {name: value for name, value in found.items() if value is not None}


@cache
def zone(name: str) -> tzinfo | None:
    """The zone of one IANA name; None where the pinned zone data does not have it."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return None


def tzdata_version() -> str:
    """The version of the zone data, which a posting keeps."""
    return version("tzdata")
