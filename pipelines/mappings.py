"""How a landed usage file is read as canonical rows, whatever its format and its columns.

A mapping file, `landing/mappings/SOURCE.yaml`, names a source column or an SQL expression
for each canonical column. The result is always the text of one SQL query, the relation
`landed_rows`; what cannot be read as a whole file is a `Refusal` with its cure.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import duckdb
from pydantic import Field, ValidationError

from billing_core.errors import Problem
from billing_core.schema import Record, Text, YesNo, problems_of
from pipelines.paths import exact_pattern, first_line
from pipelines.usage_frames import FeatureDefinition
from pipelines.yaml_text import read_tree

Format = Literal["parquet", "csv", "json_lines", "access_log"]
TimeUnit = Literal["s", "ms", "us", "iso"]
Canonical = Literal[
    "event_id", "source", "customer_id", "feature", "occurred_at", "received_at", "value",
    "amount", "model", "input_tokens", "output_tokens", "cache_read_tokens",
    "cache_write_tokens", "retracts", "properties",
]  # fmt: skip

STRINGS = ("event_id", "source", "customer_id", "feature", "model", "retracts", "properties")
INSTANTS = ("occurred_at", "received_at")
DECIMALS = ("value", "amount")
CACHE_TOKENS = ("cache_read_tokens", "cache_write_tokens")
TOKENS = ("input_tokens", "output_tokens", *CACHE_TOKENS)
COLUMNS = (*STRINGS, *INSTANTS, *DECIMALS, *TOKENS)
REQUIRED = ("event_id", "customer_id", "feature", "occurred_at")

FORMAT_OF_SUFFIX: dict[str, Format] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".log": "access_log",
}

WHOLE_TYPES = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
)
WIDE_TYPES = frozenset({"UBIGINT", "HUGEINT", "UHUGEINT"})
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")

ACCESS_LINE = (
    r"^(\S+) (\S+) (\S+) \[([^\]]+)\] \"((?:[^\"\\]|\\.)*)\" (\S+) (\S+)"
    r"(?: \"((?:[^\"\\]|\\.)*)\"(?: \"((?:[^\"\\]|\\.)*)\"?)?)?(?:\s.*)?$"
)
"""The common and the combined log format. What a server adds at the end is left out, and an
agent that was cut off is taken as it stands: what is billed stands before it."""
ACCESS_FIELDS = (
    "client", "identity", "user", "logged", "request", "status", "bytes", "referrer", "agent",
)  # fmt: skip


class UsageMapping(Record):
    """What a mapping file says.

    columns:   canonical column -> source column, or SQL expression over the source columns,
               `row_number` and `file_name`.
    constants: canonical column -> the text of its one value.
    filter:    an SQL condition; rows without it are counted as filtered.
    tokens_include_cached: the source's input total includes cached tokens. Rule AI-4.
    """

    format: Format | None = None
    columns: dict[Canonical, Text] = Field(default_factory=dict)
    constants: dict[Canonical, Text] = Field(default_factory=dict)
    time_unit: TimeUnit = "iso"
    filter: Text | None = None
    tokens_include_cached: YesNo = False
    delimiter: Text = ","


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a whole file cannot be read: a code, what is wrong, and the cure."""

    reason: str
    what: str
    mend: str


@dataclass(frozen=True, slots=True)
class LandedQuery:
    """How a file is read: the SQL of its own columns, and of each canonical one.

    is_canonical: its columns are the canonical ones, no mapping stands between.
    """

    source: str
    is_canonical: bool
    default_source: str
    expressions: Mapping[str, str]
    unreadable: str
    filter: str | None
    includes_cached: bool


def read_mapping(path: Path, *, file: str) -> UsageMapping | tuple[Problem, ...]:
    """The mapping of a source, or every error in it with its nearest known key."""
    tree = read_tree(path, prefix="MAP", file=file)
    if isinstance(tree, Problem):
        return (tree,)
    try:
        mapping = UsageMapping.model_validate(tree)
    except ValidationError as error:
        return problems_of(error.errors(), UsageMapping, prefix="MAP", file=file)
    given = {*mapping.columns, *mapping.constants}
    missing = [name for name in REQUIRED if name not in given]
    return tuple(
        Problem(
            "MAP-20",
            file,
            f"columns.{name}",
            f"nothing gives the column {name}",
            f"name a source column or an SQL expression under columns, or a text under"
            f" constants, for {name}",
        )
        for name in missing
    ) or (mapping if not missing else ())


def landed_query(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    mapping: UsageMapping | None,
    *,
    default_source: str,
) -> LandedQuery | Refusal:
    """How to read one file, or why it cannot be read as a whole.

    Looks at the file's columns only; a row is looked at when it is read.
    """
    if path.stat().st_size == 0:
        what, mend = "the file is empty", "nothing, if nothing was used; else land it again, whole"
        return Refusal("empty_file", what, f"{mend}, under another name")
    try:
        source = _source(connection, path, mapping)
        if isinstance(source, Refusal):
            return source
        wanted = _wanted(connection, source, mapping)
        types = _types(connection, source, wanted, None if mapping is None else mapping.filter)
    except duckdb.Error as error:
        return _engine_refusal(error, path, mapping)
    missing = [name for name in REQUIRED if name not in wanted]
    if missing:
        return Refusal(
            "missing_column",
            f"the file has no column {' and no column '.join(missing)}",
            "write the canonical columns, or a mapping for this source under landing/mappings",
        )
    return _query(source, wanted, types, mapping=mapping, default_source=default_source)


def rows_sql(
    query: LandedQuery,
    *,
    file_number: int,
    landing_day: date,
    features: Sequence[FeatureDefinition],
) -> str:
    """The text of the query that gives the `landed_rows` of one file on its landing day."""
    properties = query.expressions["properties"]
    parts = {name: query.expressions[name] for name in COLUMNS if name != "properties"}
    if query.includes_cached:
        cached = f"{parts['cache_read_tokens']} - {parts['cache_write_tokens']}"
        parts["input_tokens"] = f"{parts['input_tokens']} - {cached}"
    parts["received_at"] = f"coalesce({parts['received_at']}, {end_of_day_sql(landing_day)})"
    feature = parts["feature"]
    property_text = _of_properties(
        properties, feature, {f.code: f.property for f in features if f.property}
    )
    parts |= {
        "property": property_text,
        "dimension_1": _of_properties(properties, feature, _dimensions(features, 0)),
        "dimension_2": _of_properties(properties, feature, _dimensions(features, 1)),
        "is_property_missing": _property_missing(features, property_text, feature),
        "unreadable": query.unreadable,
        "is_total_with_cached": "true" if query.includes_cached else "false",
    }
    listed = ", ".join(f"{text} as {name}" for name, text in parts.items())
    # of two columns: put to DuckDB's reader of Parquet alone, some conditions on null go wrong
    condition = f" where case when row_number > 0 then ({query.filter}) end" if query.filter else ""
    return (
        f"select date '{landing_day}' as landing_day, {file_number}::integer as file_number,"
        f" row_number, {listed} from ({query.source}) as source{condition}"
    )


def end_of_day_sql(landing_day: date) -> str:
    """The instant at which a row arrived that does not say when: the end of its landing day."""
    return f"timestamptz '{landing_day} 00:00:00+00' + interval 1 day"


def source_rows(connection: duckdb.DuckDBPyConnection, query: LandedQuery) -> int:
    """How many rows the file has, those that the filter leaves out included."""
    row = connection.sql(f"select count(*) from ({query.source})").fetchall()[0]
    return int(row[0])


def text_literal(text: str) -> str:
    """A text as an SQL literal.

    >>> text_literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def _source(
    connection: duckdb.DuckDBPyConnection, path: Path, mapping: UsageMapping | None
) -> str | Refusal:
    """A query of the file's own columns, `row_number` (from 1), `file_name`, `is_row_readable`.

    Of text a row is a line that is not blank, wherever the system that wrote it ends lines.
    """
    kind = _format(path, mapping)
    if mapping is None and kind != "parquet":
        return Refusal(
            "no_mapping",
            f"a file {path.suffix or path.name!r} has no canonical columns",
            "write landing/mappings/SOURCE.yaml and put the file into the folder SOURCE of a day",
        )
    file, name = text_literal(exact_pattern(path)), text_literal(path.name)
    lines = (
        f"select row_number() over () as row_number, {name} as file_name, line from (select line"
        f" from read_csv({file}, columns = {{'line': 'VARCHAR'}}, delim = '\\x01', quote = '',"
        " escape = '', header = false, auto_detect = false, strict_mode = false,"
        " max_line_size = 16000000) where line is not null)"
    )
    match kind:
        case "parquet":
            whole = f"select * from read_parquet({file}, hive_partitioning = false)"
            has_own = "file_row_number" in map(str.lower, _columns(connection, whole))
            number = "row_number() over ()" if has_own else "file_row_number + 1"
            return (
                f"select {number} as row_number, {name} as file_name,"
                f" true as is_row_readable, * from read_parquet({file}, hive_partitioning = false)"
            )
        case "csv":
            delimiter = "," if mapping is None else mapping.delimiter
            whole = (
                f"select row_number() over () as row_number, {name} as file_name,"
                f" true as is_row_readable, * from read_csv({file}, header = true,"
                f" all_varchar = true, delim = {text_literal(delimiter)}, quote = '\"',"
                " hive_partitioning = false)"
            )
            is_regular = _has_one_form(connection, whole)
            return whole if is_regular else _ragged_source(connection, lines, delimiter)
        case "json_lines":
            return _json_source(connection, lines)
        case "access_log":
            fields = ", ".join(text_literal(field) for field in ACCESS_FIELDS)
            pattern = text_literal(ACCESS_LINE)
            return (
                "select row_number, file_name, line, is_row_readable, fields.*,"
                " try_strptime(fields.logged, '%d/%b/%Y:%H:%M:%S %z') as time from ("
                f"select *, regexp_matches(line, {pattern}) as is_row_readable,"
                f" regexp_extract(line, {pattern}, [{fields}]) as fields from ({lines}))"
            )


def _has_one_form(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    """Whether a CSV file can be read as a whole: all rows with as many columns, quoted well."""
    try:
        connection.sql(f"select count(*) from ({query})").fetchall()
    except duckdb.InvalidInputException:
        return False
    return True


def _ragged_source(connection: duckdb.DuckDBPyConnection, lines: str, delimiter: str) -> str:
    """A CSV file line by line, as one bad line would keep DuckDB from reading all the others.

    A line of another form than the first is not readable, nor is a field with a line break.
    """
    head = connection.sql(f"select line from ({lines}) where row_number = 1").fetchall()
    names = next(csv.reader(head[0], delimiter=delimiter))
    end = re.escape(delimiter)
    field = f'"(?:[^"]|"")*"|(?:[^"{end}][^{end}]*)?'
    row = text_literal(f"(?:{field})(?:{end}(?:{field})){{{len(names) - 1}}}")
    each = text_literal(f"{end}({field})")
    plain = "replace(substr(field, 2, length(field) - 2), '\"\"', '\"')"
    unquoted = f"case when starts_with(field, '\"') then {plain} else field end"
    columns = "".join(f", fields[{n}] as {_quoted(name)}" for n, name in enumerate(names, start=1))
    return (
        f"select row_number, file_name, is_row_readable{columns} from ("
        f"select row_number - 1 as row_number, file_name,"
        f" regexp_full_match(line, {row}) as is_row_readable, case when is_row_readable then"
        f" list_transform(regexp_extract_all({text_literal(delimiter)} || line, {each}, 1),"
        f" lambda field: nullif({unquoted}, '')) end as fields from ({lines}) where row_number > 1)"
    )


def _json_source(connection: duckdb.DuckDBPyConnection, lines: str) -> str:
    """Every key of the first level as text, exactly as it is written; null where it is none."""
    # not `and`: DuckDB works out both sides, and json_type fails on what is no JSON
    readable = "coalesce(try(json_type(line) = 'OBJECT'), false)"
    found = connection.sql(
        "select distinct unnest(try(json_keys(line))) as name from"
        f" (select case when {readable} then line end as line from ({lines})) order by name"
    ).fetchall()
    keys = "".join(
        f", try(json_extract_string(line, {text_literal(_path(name))})) as {_quoted(name)}"
        for (name,) in found
        if name
    )
    return f"select row_number, file_name, {readable} as is_row_readable{keys} from ({lines})"


def _format(path: Path, mapping: UsageMapping | None) -> Format:
    if mapping is not None and mapping.format is not None:
        return mapping.format
    return FORMAT_OF_SUFFIX.get(path.suffix.lower(), "csv")


def _wanted(
    connection: duckdb.DuckDBPyConnection, source: str, mapping: UsageMapping | None
) -> dict[str, str]:
    """The SQL of each canonical column that the file or its mapping gives."""
    own = _columns(connection, source)
    if mapping is None:
        return {name: _quoted(name) for name in COLUMNS if name in own}
    by_case = {name.lower(): name for name in own}
    named: dict[str, str] = {
        str(name): _quoted(by_case[text.lower()]) if text.lower() in by_case else f"({text})"
        for name, text in mapping.columns.items()
    }
    return named | {str(name): text_literal(text) for name, text in mapping.constants.items()}


def _columns(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, str]:
    described = connection.sql(f"describe {query}").fetchall()
    return {str(row[0]): str(row[1]) for row in described}


def _types(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    wanted: Mapping[str, str],
    condition: str | None,
) -> dict[str, str]:
    """The SQL type of each expression; fails where one of them, or the filter, is not valid."""
    listed = ", ".join(f"{text} as {_quoted(name)}" for name, text in wanted.items()) or "1 as one"
    where = f" where ({condition})" if condition else ""
    return _columns(connection, f"select {listed} from ({source}) as source{where}")


def _query(
    source: str,
    wanted: Mapping[str, str],
    types: Mapping[str, str],
    *,
    mapping: UsageMapping | None,
    default_source: str,
) -> LandedQuery | Refusal:
    unit = "iso" if mapping is None else mapping.time_unit
    expressions: dict[str, str] = {}
    unreadable = ["case when not is_row_readable then 'row' end"] if mapping else []
    for name in COLUMNS:
        if name not in wanted:
            expressions[name] = _absent(name, default_source)
            continue
        read = _read(name, wanted[name], types[name], unit=unit)
        if isinstance(read, Refusal):
            return read
        expressions[name] = _defaulted(name, read, mapping, default_source)
        if _is_fallible(types[name], name):
            unreadable.append(
                f"case when {wanted[name]} is not null and {read} is null then '{name}' end"
            )
    return LandedQuery(
        source=source,
        is_canonical=mapping is None,
        default_source=default_source,
        expressions=expressions,
        unreadable=f"coalesce({', '.join(unreadable)})" if unreadable else "null::varchar",
        filter=None if mapping is None else mapping.filter,
        includes_cached=mapping is not None and mapping.tokens_include_cached,
    )


def _absent(name: str, default_source: str) -> str:
    if name == "source":
        return text_literal(default_source)
    if name == "value":
        return "1::decimal(38, 9)"
    if name in CACHE_TOKENS:
        return "0::bigint"
    kind = "varchar" if name in STRINGS else "decimal(38, 9)" if name in DECIMALS else "bigint"
    return f"null::{'timestamptz' if name in INSTANTS else kind}"


def _defaulted(name: str, read: str, mapping: UsageMapping | None, default_source: str) -> str:
    if name == "source":
        return f"coalesce({read}, {text_literal(default_source)})"
    if name == "retracts":
        return f"nullif({read}, '')"
    if name == "value" and mapping is None:
        return f"coalesce({read}, 1::decimal(38, 9))"
    if name in CACHE_TOKENS:
        return f"coalesce({read}, 0)"
    return read


def _is_fallible(kind: str, name: str) -> bool:
    if name in STRINGS:
        return False
    return kind == "VARCHAR" or kind in WIDE_TYPES or _scale(kind) > (0 if name in TOKENS else 9)


def _scale(kind: str) -> int:
    found = _DECIMAL.fullmatch(kind)
    return int(found.group(2)) if found else 0


def _read(name: str, text: str, kind: str, *, unit: TimeUnit) -> str | Refusal:
    """The SQL that reads an expression of one type as a canonical column."""
    if name in STRINGS:
        return _string(name, text, kind)
    if kind in {"DOUBLE", "FLOAT"}:
        return Refusal(
            "float_column",
            f"the column {name} has the type {kind}, which is not exact",
            f"write it as decimal(38, 9) or whole numbers; in a mapping cast it from text, as in"
            f" try_cast({name} as decimal(38, 9)); a divisor belongs to the feature (per)",
        )
    if name in INSTANTS:
        return _instant(name, text, kind, unit=unit)
    if name in TOKENS:
        return _tokens(name, text, kind)
    return _decimal(name, text, kind)


def _string(name: str, text: str, kind: str) -> str | Refusal:
    if kind in {"VARCHAR", "JSON"} or kind.startswith("ENUM"):
        return text if kind == "VARCHAR" else f"{text}::varchar"
    if kind in {"DOUBLE", "FLOAT", "BLOB"} or "[]" in kind:
        return _wrong_type(name, kind, "a text")
    return f"{text}::varchar"


def _decimal(name: str, text: str, kind: str) -> str | Refusal:
    target = "decimal(38, 9)"
    if kind == "VARCHAR" or _scale(kind) > 9:
        # More than nine decimals would be rounded in silence: such a row is not readable.
        exact = f"try_cast({text} as decimal(38, 18))"
        read = f"try_cast({text} as {target})"
        return f"case when {exact} is null or {exact} = {read} then {read} end"
    if kind in WHOLE_TYPES or kind in WIDE_TYPES or _DECIMAL.fullmatch(kind):
        return text if kind == "DECIMAL(38,9)" else f"try_cast({text} as {target})"
    return _wrong_type(name, kind, "decimal(38, 9) or a whole number")


def _tokens(name: str, text: str, kind: str) -> str | Refusal:
    if kind == "VARCHAR":
        return (
            f"case when regexp_full_match({text}, '\\s*-?[0-9]+\\s*')"
            f" then try_cast({text} as bigint) end"
        )
    if kind in WHOLE_TYPES or kind in WIDE_TYPES:
        return text if kind == "BIGINT" else f"try_cast({text} as bigint)"
    if _DECIMAL.fullmatch(kind):
        return f"case when {text} = trunc({text}) then try_cast({text} as bigint) end"
    return _wrong_type(name, kind, "int64")


def _instant(name: str, text: str, kind: str, *, unit: TimeUnit) -> str | Refusal:
    if kind == "TIMESTAMP WITH TIME ZONE":
        return text
    if kind == "TIMESTAMPTZ_NS":
        return f"{text}::timestamptz"
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return f"({text}::timestamp at time zone 'UTC')"
    factor = {"s": 1_000_000, "ms": 1_000, "us": 1}.get(unit)
    if kind == "VARCHAR" and factor is None:
        return f"try_cast({text} as timestamptz)"
    is_number = kind in WHOLE_TYPES or kind in WIDE_TYPES or _DECIMAL.fullmatch(kind)
    if factor is not None and (is_number or kind == "VARCHAR"):
        exact = f"try_cast({text} as decimal(24, 6))"
        return f"to_timestamp(0) + to_microseconds(({exact} * {factor})::bigint)"
    return _wrong_type(name, kind, "timestamp[us, UTC], or a text or number with its time_unit")


def _wrong_type(name: str, kind: str, expected: str) -> Refusal:
    return Refusal(
        "wrong_type",
        f"the column {name} has the type {kind}",
        f"write {expected}, or cast it in a mapping",
    )


def _engine_refusal(error: duckdb.Error, path: Path, mapping: UsageMapping | None) -> Refusal:
    first = first_line(error, path)
    if mapping is not None and isinstance(error, duckdb.BinderException | duckdb.ParserException):
        return Refusal(
            "mapping_refused",
            f"an expression of the mapping is not valid here: {first}",
            "correct the expression, or the name of a source column, in landing/mappings",
        )
    return Refusal(
        "unreadable_file",
        f"the file cannot be read: {first}",
        "land it again, whole, under another name",
    )


def _dimensions(features: Sequence[FeatureDefinition], place: int) -> dict[str, str]:
    return {f.code: f.dimensions[place] for f in features if len(f.dimensions) > place}


def _of_properties(properties: str, feature: str, keys: Mapping[str, str]) -> str:
    """The SQL of one property as text, by feature; null where the text is no JSON or has none."""
    if not keys or properties == "null::varchar":
        return "null::varchar"
    whens = " ".join(
        f"when {text_literal(code)} then"
        f" json_extract_string({properties}, {text_literal(_path(key))})"
        for code, key in sorted(keys.items())
    )
    return f"case when json_valid({properties}) then case {feature} {whens} end end"


def _property_missing(
    features: Sequence[FeatureDefinition], property_text: str, feature: str
) -> str:
    codes = sorted(f.code for f in features if f.property)
    if not codes:
        return "false"
    listed = ", ".join(text_literal(code) for code in codes)
    return f"({feature} in ({listed}) and ({property_text}) is null)"


def _path(key: str) -> str:
    return '$."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
