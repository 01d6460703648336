"""From a view to the bytes of a PDF: the same bytes for the same view, wherever it is made.

Fonts come from this package alone, no address is ever fetched, and a character that no
font has is an error, never an empty box. Set up once in a process; rule PST-3.
"""

import os
from functools import cache
from pathlib import Path
from typing import NoReturn

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from billing_core.errors import BillingError
from reports.invoice_view import InvoiceView

HERE = Path(__file__).parent
FONTS, TEMPLATES = HERE / "fonts", HERE / "templates"

VARIANT = "pdf/ua-1"
"""Tagged, so that a screen reader finds the table; costs 5 to 8 % of the time."""

# Fontconfig reads the variable once, when WeasyPrint loads it: before the imports below.
os.environ["FONTCONFIG_FILE"] = str(FONTS / "fonts.conf")

from weasyprint import CSS, HTML  # noqa: E402
from weasyprint.text.ffi import harfbuzz_subset  # noqa: E402
from weasyprint.text.fonts import FontConfiguration  # noqa: E402
from weasyprint.urls import FatalURLFetchingError, URLFetcher  # noqa: E402


class SlowFonts(BillingError):
    """The system library that subsets fonts is missing; all would work, five times slower."""

    code = "PDF-01"

    def __init__(self) -> None:
        super().__init__(
            what="the library libharfbuzz-subset is not installed",
            where="this machine; PDF rendering is five to seven times slower without it",
            mend="apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0"
            " libharfbuzz-subset0",
        )


class MissingGlyph(BillingError):
    """A document has characters that none of the shipped fonts has."""

    code = "PDF-02"

    def __init__(self, characters: str, *, document: str) -> None:
        self.characters = characters
        named = ", ".join(f"{character} (U+{ord(character):04X})" for character in characters)
        super().__init__(
            what=f"no font has the characters {named}",
            where=document,
            mend="change the name or address that has them (update_customer), or add a font"
            " that has them: reports/fonts/README.md says how",
        )


class AddressFetched(BillingError):
    """A document tried to read a file or an address."""

    code = "PDF-03"

    def __init__(self, *, document: str, address: str) -> None:
        super().__init__(
            what=f"the page asks for {address!r}, and nothing is ever fetched",
            where=document,
            mend="take the address out of the template; texts of customers cannot bring one in",
        )


class _Nothing(URLFetcher):  # type: ignore[misc]
    """Fetches nothing and stops the document that asks."""

    def fetch(self, url: str, headers: object = None) -> NoReturn:  # noqa: ARG002
        raise FatalURLFetchingError(url[:120])


class Renderer:
    """Templates, style and fonts, set up once in a process and used for every document."""

    def __init__(self) -> None:
        if not harfbuzz_subset:
            raise SlowFonts
        self.fetcher = _Nothing()
        self.fonts = FontConfiguration()
        self.templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            keep_trailing_newline=False,
        )
        self.styles = {
            name: CSS(
                string=(TEMPLATES / "document.css").read_text("utf-8")
                + (TEMPLATES / f"{name}.css").read_text("utf-8"),
                font_config=self.fonts,
                url_fetcher=self.fetcher,
            )
            for name in ("invoice", "revenue")
        }

    def html(self, template: str, view: object) -> str:
        """The page of a view, every text of it escaped."""
        return self.templates.get_template(f"{template}.html.j2").render(view=view)

    def render(self, template: str, view: object, *, document: str) -> bytes:
        """The PDF of a view.

        takes:  document, how an error names it.
        raises: MissingGlyph, AddressFetched.
        """
        return self.pdf_of(self.html(template, view), style=template, document=document)

    def pdf_of(self, html: str, *, style: str, document: str) -> bytes:
        """The PDF of a page in one of the styles."""
        page = HTML(string=html, url_fetcher=self.fetcher)
        try:
            laid_out = page.render(
                stylesheets=[self.styles[style]], font_config=self.fonts, pdf_variant=VARIANT
            )
            pdf: bytes = laid_out.write_pdf(pdf_variant=VARIANT)
        except FatalURLFetchingError as error:
            raise AddressFetched(document=document, address=str(error)) from error
        missing = {point for font in laid_out.fonts.values() for point in font.missing}
        if missing:
            raise MissingGlyph("".join(map(chr, sorted(missing))), document=document)
        return pdf

    def invoice(self, view: InvoiceView) -> bytes:
        """The PDF of an invoice."""
        return self.render("invoice", view, document=f"invoice {view.number}")


@cache
def renderer() -> Renderer:
    """The renderer of this process, made when it is first asked for."""
    return Renderer()


def render_invoice(view: InvoiceView) -> bytes:
    """The PDF of an invoice: the same bytes for the same view.

    raises: SlowFonts, MissingGlyph, AddressFetched.
    """
    return renderer().invoice(view)
