"""Where everything lies under a data root. Nothing else in the project joins these names.

Inputs (back these up): `landing/`, `catalog/`, `customers/`, `books/`. Made again at any
time: `warehouse/`, `documents/`, `outbox/`, `dagster/`.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

PACKAGE_ROOT = Path(__file__).parents[1]
"""The folder that holds the packages `pipelines`, `sql`, `reports`, `data`."""


def sql_text(name: str) -> str:
    """The text of one model, by its path under `sql/` without the suffix: `usage/usage_daily`."""
    return (PACKAGE_ROOT / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def first_line(error: Exception, path: Path) -> str:
    """What an engine says of a file, without the way to it: that differs from root to root.

    >>> first_line(ValueError("no magic bytes in '/srv/b.parquet'\\nat 7"), Path("/srv/b.parquet"))
    "no magic bytes in 'b.parquet'"
    """
    text = str(error).partition("\n")[0] or type(error).__name__
    for written in (exact_pattern(path), str(path)):
        text = text.replace(written, path.name)
    return text[:300]


def exact_pattern(path: Path) -> str:
    """A path as DuckDB takes it, which reads brackets, stars and question marks as a pattern.

    >>> exact_pattern(Path("day/usage [1]*.csv"))
    'day/usage [[]1][*].csv'
    """
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in str(path))


@dataclass(frozen=True, slots=True)
class DataRoot:
    """The folders of one installation."""

    root: Path

    @property
    def usage_landing(self) -> Path:
        """Usage files, `day=YYYY-MM-DD/[SOURCE/]FILE`, by the day they arrived."""
        return self.root / "landing" / "usage"

    @property
    def actions_landing(self) -> Path:
        """Action files, `day=YYYY-MM-DD/FILE.jsonl` or `.parquet`."""
        return self.root / "landing" / "actions"

    @property
    def mappings(self) -> Path:
        """Mapping files, `SOURCE.yaml`, for usage files that are not canonical."""
        return self.root / "landing" / "mappings"

    @property
    def register(self) -> Path:
        """The append-only register of landed files (JSON Lines): an input, never made again."""
        return self.root / "landing" / "register.jsonl"

    @property
    def catalog(self) -> Path:
        """Catalog versions, one YAML file each."""
        return self.root / "catalog"

    @property
    def ai_prices(self) -> Path:
        """The dated table of AI model prices (CSV), append-only. Rule AI-2."""
        return self.root / "catalog" / "ai_prices.csv"

    @property
    def customers(self) -> Path:
        """Personal data, in one dataset keyed by customer id."""
        return self.root / "customers"

    @property
    def books(self) -> Path:
        """Postings, `000001/`, append-only and hash-chained."""
        return self.root / "books"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse"

    @property
    def database(self) -> Path:
        """The published warehouse that analysts open."""
        return self.warehouse / "warehouse.duckdb"

    @property
    def writer_lock(self) -> Path:
        return self.warehouse / ".writer.lock"

    @property
    def documents(self) -> Path:
        """PDFs: `invoices/YEAR/NUMBER.pdf`, `reports/revenue-YYYY-MM.pdf`."""
        return self.root / "documents"

    @property
    def outbox(self) -> Path:
        return self.root / "outbox"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME."""
        return self.root / "dagster"

    def dataset(self, name: str) -> Path:
        """A dataset of the warehouse: `warehouse/NAME/PARTITION/HASH.parquet`."""
        return self.warehouse / name

    def invoice_pdf(self, number: str, issued_on: date) -> Path:
        return self.documents / "invoices" / str(issued_on.year) / f"{number}.pdf"
