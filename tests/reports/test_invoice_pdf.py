"""The invoice PDF: what a reader finds on it, what it never does, and that it never changes."""

import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pypdf import PdfReader

from billing_core.invoice import LineType
from reports.invoice_view import invoice_view
from reports.pdf import AddressFetched, MissingGlyph, SlowFonts, render_invoice, renderer
from reports.posted import Party, PostedInvoice
from tests.reports import samples
from tests.reports.reading import read_invoice, text_of

SAMPLES = {
    "every kind of line": samples.full(),
    "over many pages": samples.long(200),
    "yen, no minor unit": samples.simple(samples.JPY, "9800"),
    "dinar, three decimals": samples.simple(samples.BHD, "9.800"),
    "credit within an upgrade": samples.upgrade(),
    "nothing to pay": samples.zero(),
    "credit note": samples.credit_note(),
}


def rendered(
    posted: PostedInvoice, *, buyer: Party = samples.LUMEN, locale: str | None = "en"
) -> bytes:
    return render_invoice(invoice_view(posted, samples.SELLER, buyer, locale))


def named(name: str) -> Party:
    return replace(samples.LUMEN, name=name)


@pytest.mark.parametrize("posted", SAMPLES.values(), ids=SAMPLES)
def test_amounts_read_back_add_up_to_the_total(posted: PostedInvoice) -> None:
    read = read_invoice(rendered(posted))
    invoice = posted.invoice
    lines = [line.amount.minor for line in invoice.lines if line.type is not LineType.TAX]
    assert sorted(read.lines) == sorted(lines)
    assert sum(read.lines) + sum(read.taxes) == read.total == invoice.total.minor
    if read.taxes:
        assert read.subtotal == sum(read.lines) == invoice.subtotal.minor


@pytest.mark.parametrize("locale", ["de_DE", "fr_FR", "pt_BR", "zh_CN", "nl_NL", "ru", "ar", None])
def test_amounts_add_up_in_every_way_of_writing_them(locale: str | None) -> None:
    read = read_invoice(rendered(samples.full(), locale=locale))
    assert sum(read.lines) + sum(read.taxes) == read.total == 195_580


def test_many_pages_repeat_their_heads_and_count_themselves() -> None:
    pages = PdfReader(_stream(rendered(samples.long(200)))).pages
    texts = [page.extract_text() for page in pages]
    assert len(pages) == 12
    for number, text in enumerate(texts, start=1):
        assert f"Page {number} of 12" in text
        assert "Description Quantity Unit price Amount" in text
        assert ("Meridian Cloud GmbH — Invoice INV-2026-000042" in text) == (number > 1)
        assert not text.rstrip().endswith("Usage above what is included")


def test_the_page_says_what_the_invoice_knows() -> None:
    text = text_of(rendered(samples.full()))
    for said in (
        "INV-2026-000042",
        "17 May 2026",
        "3 seats from 16 April · 15 of 30 days",
        "62.1667 used, 60 included · exactly 2 1/6 minutes",
        "€0.000012",
        "Cached input 88,512,911 €0.30",
        "Margin 20% on the tokens above",
        "corrects invoice INV-2026-000007",
        "Reverse charge",
        "130 of 100 files, 30 blocked",
        "DE89 3704 0044 0532 0130 00",
    ):
        assert said in text, said


def test_chinese_is_set_in_its_own_glyphs() -> None:
    pdf = rendered(samples.full(), buyer=samples.XINGHE, locale="zh_CN")
    assert samples.XINGHE.name in text_of(pdf)
    fonts = {
        str(font.get_object()["/BaseFont"]).partition("+")[2]
        for page in PdfReader(_stream(pdf)).pages
        for font in page["/Resources"]["/Font"].values()  # type: ignore[index]
    }
    assert any(font.startswith("Noto") for font in fonts)
    assert all(font.startswith(("Inter", "Noto-Sans-CJK-SC")) for font in fonts), fonts


@pytest.mark.parametrize(
    ("name", "named_characters"),
    [
        ("Rocket 🚀 GmbH", "🚀 (U+1F680)"),
        ("주식회사", "사 (U+C0AC), 식 (U+C2DD), 주 (U+C8FC), 회 (U+D68C)"),
    ],
    ids=["emoji", "Korean"],
)
def test_a_missing_glyph_is_an_error_that_names_it(name: str, named_characters: str) -> None:
    with pytest.raises(MissingGlyph, match="INV-2026-000042") as caught:
        rendered(samples.simple(), buyer=named(name))
    assert named_characters in caught.value.what
    assert "update_customer" in caught.value.mend


@pytest.mark.parametrize(
    "name", ["Acme 测试 GmbH", "北京 数据 有限公司", "Acme\u00a0株式会社\u00a0Tokyo"]
)
def test_spaces_between_two_scripts_are_set_in_either(name: str) -> None:
    words = text_of(rendered(samples.simple(), buyer=named(name)))
    for word in name.split():
        assert word in words


@pytest.mark.parametrize(
    "name",
    [
        "{{ 7*7 }} & {% include 'invoice.css' %} GmbH",
        "<img src=file:///etc/passwd> GmbH",
        "<link rel=attachment href=file:///etc/passwd>",
        "</title><script>alert(1)</script><b>Bold & Co</b>",
        'a"><style>@import url(file:///etc/passwd);*{display:none}</style>',
    ],
)
def test_markup_in_a_name_stays_text(name: str) -> None:
    pdf = rendered(samples.simple(), buyer=named(name))
    reader = PdfReader(_stream(pdf))
    assert _letters(name) in _letters(text_of(pdf))
    assert reader.metadata is not None
    assert name in str(reader.metadata.subject)
    assert not reader.attachments
    assert b"/EmbeddedFile" not in pdf


def test_a_template_that_asks_for_an_address_is_stopped() -> None:
    page = "<img src='file:///etc/passwd'>"
    with pytest.raises(AddressFetched, match="etc/passwd"):
        renderer().pdf_of(page, style="invoice", document="a page")


def test_a_very_long_name_does_not_break_the_page() -> None:
    name = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 4
    read = read_invoice(rendered(samples.simple(), buyer=named(name)))
    assert (read.total, read.pages) == (11_900, 1)


def test_the_same_invoice_has_the_same_bytes_in_every_process() -> None:
    digest = hashlib.sha256(rendered(samples.full(), buyer=samples.XINGHE)).hexdigest()
    program = (
        "import hashlib; from tests.reports import test_invoice_pdf as t, samples as s;"
        "print(hashlib.sha256(t.rendered(s.full(), buyer=s.XINGHE)).hexdigest())"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "LC_ALL": "C"}
        printed = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            cwd=Path(__file__).parents[2],
            check=True,
            capture_output=True,
            text=True,
        )
        assert printed.stdout.strip() == digest
        assert printed.stderr == ""


def test_the_only_dates_in_the_pdf_are_the_invoices() -> None:
    metadata = PdfReader(_stream(rendered(samples.full()))).metadata
    assert metadata is not None
    assert metadata["/CreationDate"] == metadata["/ModDate"] == "D:20260503000000Z"
    assert metadata.title == "Invoice INV-2026-000042"
    assert metadata.author == samples.SELLER.name


def test_slow_fonts_say_how_to_mend_it() -> None:
    assert "apt-get install" in SlowFonts().mend
    assert "libharfbuzz-subset0" in SlowFonts().mend


def _stream(pdf: bytes) -> io.BytesIO:
    return io.BytesIO(pdf)


def _letters(text: str) -> str:
    return "".join(text.split())
