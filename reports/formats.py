"""How amounts, prices, quantities and days look to a reader of a given locale.

The one place where a number or a date becomes text for people. Amounts come in exact
and leave exact: nothing here rounds money, and the decimals of a currency are ISO
4217's, not the locale's cash practice. Rules CNV-4, CNV-5.
"""

import re
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_interval
from babel.numbers import format_compact_currency, format_currency, format_decimal

from billing_core.money import Currency, Money
from billing_core.period import Period

MINUS = "\N{MINUS SIGN}"
ENGLISH = Locale("en")
QUANTITY_DIGITS = (4, 9)
"""Decimals of a quantity that has no end: as few as explain the amount, within these."""

THIN_SPACE = "\N{THIN SPACE}"
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"

_WORD = re.compile(r"(?=[a-z]*[aeiouy])[a-z]{3,}$")
"""The last word of a unit that is a word: a symbol (GB, kWh, ms) has no plural."""
_SIBILANT = re.compile(r"(?:[xz]|ch|sh)$")
_CONSONANT_Y = re.compile(r"(?<=[^aeiou])y$")

_PACKAGE = re.compile(r"(?P<package>\w+) of (?P<size>[\d,.]+) (?P<unit>.+)")

_EXACT = Context(prec=60)
_LETTER_BEFORE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")
_DECIMALS = re.compile(r"0(\.0+)?(?=[^0]|$)")
_SET_IN_SHIPPED_FONTS = re.compile(
    r"[\u0020-\u052f\u1e00-\u22ff\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]*"
)


@cache
def reader_locale(text: str | None) -> Locale:
    """The locale that a document is written for; English where it cannot be set.

    takes:   `de`, `de_DE`, `zh-CN`, or None.
    returns: English for an unknown locale, and for one whose months are written in a
             script that the shipped fonts do not have.

    >>> reader_locale("de-DE"), reader_locale("ar_EG"), reader_locale("no such")
    (Locale('de', territory='DE'), Locale('en'), Locale('en'))
    """
    try:
        locale = Locale.parse((text or "en").replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        return ENGLISH
    months = "".join(locale.months["format"]["wide"].values())
    number = quantity_text(Fraction(-12345, 10), locale)
    return locale if _SET_IN_SHIPPED_FONTS.fullmatch(months + number) else ENGLISH


def money_text(amount: Money, locale: Locale) -> str:
    """An amount with its currency at the currency's own decimals.

    >>> eur, jpy, bhd = Currency("EUR", 2), Currency("JPY", 0), Currency("BHD", 3)
    >>> [money_text(Money(-1999, c), ENGLISH) for c in (eur, jpy, bhd)]
    ['−€19.99', '−¥1,999', '−BHD\\xa01.999']
    >>> money_text(Money(123456, eur), Locale("de"))
    '1.234,56\\xa0€'
    """
    return _currency_text(amount.major, amount.currency, amount.currency.minor_digits, locale)


def price_text(price: Decimal, currency: Currency, locale: Locale) -> str:
    """A unit price at its own precision, and never with fewer decimals than its currency.

    rule: CNV-5.

    >>> usd = Currency("USD", 2)
    >>> [price_text(Decimal(p), usd, ENGLISH) for p in ("25", "0.0100", "0.0000025")]
    ['$25.00', '$0.01', '$0.0000025']
    """
    digits = max(currency.minor_digits, _scale(price))
    return _currency_text(price, currency, digits, locale)


def has_end(quantity: Fraction) -> bool:
    """Whether a quantity can be written out in full with the most decimals allowed."""
    remainder: int = 10 ** QUANTITY_DIGITS[1] % quantity.denominator
    return remainder == 0


def quantity_text(quantity: Fraction, locale: Locale, digits: int = QUANTITY_DIGITS[0]) -> str:
    """A quantity in full; one without end (13/6) to the digits asked for.

    >>> quantity_text(Fraction(1234567), ENGLISH), quantity_text(Fraction(5, 2), ENGLISH)
    ('1,234,567', '2.5')
    >>> quantity_text(Fraction(13, 6), ENGLISH), quantity_text(Fraction(-13, 6), ENGLISH, 6)
    ('2.1667', '−2.166667')
    """
    places = QUANTITY_DIGITS[1] if has_end(quantity) else digits
    value = decimal_near(quantity, places)
    pattern = "#,##0" + ("." + "#" * places if places else "")
    return _true_minus(format_decimal(value, pattern, locale, decimal_quantization=False))


def explaining_digits(quantity: Fraction, price: Fraction, amount: Money) -> int:
    """The fewest decimals of a quantity with which quantity x price rounds to the amount.

    takes:   price, money per unit and already times any days / total.
    returns: within QUANTITY_DIGITS; the fewest where none explains it (a share of a line's
             amount). Rule CNV-5.

    >>> explaining_digits(Fraction(13, 6), Fraction(1, 20), Money(11, Currency("USD", 2)))
    4
    """
    fewest, most = QUANTITY_DIGITS
    for digits in range(fewest, most + 1):
        shown = Fraction(decimal_near(quantity, digits))
        if Money.rounded(shown * price, amount.currency) == amount:
            return digits
    return fewest


def fraction_text(quantity: Fraction, locale: Locale) -> str:
    """A quantity as a whole number and a fraction.

    >>> fraction_text(Fraction(13, 6), ENGLISH), fraction_text(Fraction(1, 3), ENGLISH)
    ('2 1/6', '1/3')
    """
    whole, rest = divmod(abs(quantity.numerator), quantity.denominator)
    sign = MINUS if quantity < 0 else ""
    parts = [quantity_text(Fraction(whole), locale)] if whole else []
    if rest:
        parts.append(f"{rest}/{quantity.denominator}")
    return sign + (" ".join(parts) or "0")


def unit_text(quantity: Fraction | Decimal | int, unit: str) -> str:
    """A unit as it stands after a quantity: the catalog has the one form, this makes the other.

    takes: unit, one of what is counted, in English; a symbol or a plural stays as it is.

    >>> [unit_text(n, "seat") for n in (0, 1, Fraction(1, 2), 2)]
    ['seats', 'seat', 'seats', 'seats']
    >>> [unit_text(2, unit) for unit in ("GB", "kWh", "units", "query", "box", "GB hour", "")]
    ['GB', 'kWh', 'units', 'queries', 'boxes', 'GB hours', '']
    >>> [unit_text(n, "package of 1,000 call") for n in (1, 3)]
    ['package of 1,000 calls', 'packages of 1,000 calls']
    """
    if found := _PACKAGE.fullmatch(unit):
        size = Decimal(found["size"].replace(",", ""))
        counted = unit_text(size, found["unit"])
        return f"{unit_text(quantity, found['package'])} of {found['size']} {counted}"
    if abs(quantity) == 1 or unit.endswith("s") or not _WORD.search(unit):
        return unit
    if _CONSONANT_Y.search(unit):
        return f"{unit[:-1]}ies"
    return f"{unit}es" if _SIBILANT.search(unit) else f"{unit}s"


def counted_unit(unit: str) -> str:
    """The unit in which use is counted, where a package of it is what is priced.

    >>> counted_unit("package of 1,000 call"), counted_unit("call")
    ('call', 'call')
    """
    found = _PACKAGE.fullmatch(unit)
    return found["unit"] if found else unit


def percent_text(basis_points: int, locale: Locale) -> str:
    """Basis points as a percentage. Rule CNV-8.

    >>> percent_text(2000, ENGLISH), percent_text(1925, ENGLISH), percent_text(0, Locale("de"))
    ('20%', '19.25%', '0\\xa0%')
    """
    share = Decimal(basis_points).scaleb(-4)
    pattern = re.sub(r"0(?=\s*%)", "0.##", locale.percent_formats[None].pattern)
    return _true_minus(format_decimal(share, pattern, locale))


def share_text(part: Decimal, whole: Decimal, locale: Locale) -> str:
    """A part of a whole as a percentage with one decimal; empty where the whole is zero.

    >>> share_text(Decimal("1"), Decimal("3"), ENGLISH), share_text(Decimal(1), Decimal(0), ENGLISH)
    ('33.3%', '')
    """
    if not whole:
        return ""
    share = decimal_near(Fraction(part) / Fraction(whole), 3)
    pattern = re.sub(r"0(?=\s*%)", "0.0", locale.percent_formats[None].pattern)
    return _true_minus(format_decimal(share, pattern, locale))


def compact_money_text(amount: Decimal, currency: Currency, locale: Locale) -> str:
    """A round amount for the axis of a chart.

    >>> compact_money_text(Decimal(150_000), Currency("EUR", 2), ENGLISH)
    '€150K'
    """
    text = format_compact_currency(amount, currency.code, locale=locale, fraction_digits=1)
    return _LETTER_BEFORE_DIGIT.sub(NO_BREAK_SPACE, _true_minus(text))


def day_text(day: date, locale: Locale) -> str:
    """A day in words.

    >>> day_text(date(2026, 12, 1), ENGLISH), day_text(date(2026, 12, 1), Locale("de"))
    ('1 December 2026', '1. Dezember 2026')
    """
    return format_date(day, "long", locale=_day_locale(locale))


def short_day_text(day: date, locale: Locale) -> str:
    """A day without its year.

    >>> short_day_text(date(2026, 4, 16), ENGLISH)
    '16 April'
    """
    of_days = _day_locale(locale)
    return format_date(day, of_days.datetime_skeletons["MMMMd"], locale=of_days)


def month_text(day: date, locale: Locale) -> str:
    """The month of a day, with its year.

    >>> month_text(date(2026, 4, 1), ENGLISH)
    'April 2026'
    """
    return format_date(day, locale.datetime_skeletons["yMMMM"], locale=locale)


def period_text(period: Period, locale: Locale) -> str:
    """The days of a period, the last one included. Rule CNV-2.

    >>> period_text(Period(date(2026, 4, 1), date(2026, 5, 1)), ENGLISH)
    '1–30 Apr 2026'
    >>> period_text(Period(date(2026, 12, 16), date(2027, 1, 16)), ENGLISH)
    '16 Dec 2026 – 15 Jan 2027'
    >>> period_text(Period(date(2026, 4, 1), date(2026, 4, 2)), ENGLISH)
    '1 Apr 2026'
    """
    of_days, last = _day_locale(locale), period.end - timedelta(days=1)
    text = format_interval(period.start, last, "yMMMd", locale=of_days)
    return str(text).replace(THIN_SPACE, " ")


def country_text(code: str, locale: Locale) -> str:
    """The name of a country; its code where the locale has no name for it."""
    return str(locale.territories.get(code, code))


def decimal_near(value: Fraction, digits: int) -> Decimal:
    """The decimal nearest to a fraction, a half away from zero."""
    scaled = abs(value) * 10**digits
    nearest = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return _EXACT.scaleb(Decimal(nearest if value >= 0 else -nearest), -digits)


def _scale(value: Decimal) -> int:
    exponent = value.normalize(_EXACT).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


@cache
def _currency_pattern(locale: Locale, digits: int) -> str:
    """The locale's pattern for money, its decimals replaced."""
    decimals = "0." + "0" * digits if digits else "0"
    return _DECIMALS.sub(decimals, str(locale.currency_formats["standard"].pattern))


def _currency_text(value: Decimal, currency: Currency, digits: int, locale: Locale) -> str:
    text = format_currency(
        value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, _EXACT),
        currency.code,
        _currency_pattern(locale, digits),
        locale,
        currency_digits=False,
        decimal_quantization=False,
    )
    return _LETTER_BEFORE_DIGIT.sub(NO_BREAK_SPACE, _true_minus(text))


def _true_minus(text: str) -> str:
    """A hyphen that means minus, made a minus; marks of direction are of no use here."""
    return text.replace("-", MINUS).replace("\u200e", "").replace("\u200f", "")


def _day_locale(locale: Locale) -> Locale:
    """English without a country writes days as Europe does: 1 December 2026."""
    return Locale("en", "GB") if locale == ENGLISH else locale
