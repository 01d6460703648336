"""The revenue report of a month as a PDF: figures in, bytes out."""

from dataclasses import replace

from reports.pdf import MissingGlyph, renderer
from reports.revenue_figures import CurrencyFigures, RevenueFigures
from reports.revenue_view import revenue_view


def render_revenue_report(figures: RevenueFigures) -> bytes:
    """The report as a PDF: the same bytes for the same figures.

    A character of a customer's name that no font has is replaced: one name must not keep
    the report from being made. raises: SlowFonts, MissingGlyph for names of the catalog.
    """
    document = f"revenue report {figures.month:%Y-%m}"
    try:
        return renderer().render("revenue", revenue_view(figures), document=document)
    except MissingGlyph as error:
        readable = _with_replaced_names(figures, error.characters)
        return renderer().render("revenue", revenue_view(readable), document=document)


def _with_replaced_names(figures: RevenueFigures, characters: str) -> RevenueFigures:
    table = str.maketrans(dict.fromkeys(characters, "\N{WHITE SQUARE}"))
    return replace(figures, currencies=tuple(_renamed(one, table) for one in figures.currencies))


def _renamed(figures: CurrencyFigures, table: dict[int, str]) -> CurrencyFigures:
    largest = (replace(one, name=one.name.translate(table)) for one in figures.largest)
    return replace(figures, largest=tuple(largest))
