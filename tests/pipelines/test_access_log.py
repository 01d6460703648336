"""Which lines of an access log are read: what is billed stands before the byte count's end."""

import duckdb
import pytest

from pipelines.mappings import ACCESS_FIELDS, ACCESS_LINE

START = '192.0.2.1 - ann [17/May/2015:10:05:03 +0000] "GET /a\\"b HTTP/1.1" 200'


@pytest.mark.parametrize(
    ("line", "count", "agent"),
    [
        pytest.param(f"{START} 512", "512", "", id="common"),
        pytest.param(f'{START} 512 "-" "Probe \\"1\\" x"', "512", 'Probe \\"1\\" x', id="combined"),
        pytest.param(f'{START} - "-" "Probe"', "-", "Probe", id="no byte count"),
        pytest.param(f'{START} 512 "-" "Probe" 0.12 "example.com"', "512", "Probe", id="extended"),
        pytest.param(f'{START} 512 "-" "Probe (cut o', "512", "Probe (cut o", id="cut off"),
        pytest.param(START, None, None, id="cut off before the byte count"),
        pytest.param("not a line of a log", None, None, id="something else"),
    ],
)
def test_a_line_is_read(line: str, count: str | None, agent: str | None) -> None:
    query = "select case when regexp_matches($1, $2) then regexp_extract($1, $2, $3) end"
    with duckdb.connect() as connection:
        asked = query.replace("$3", str(list(ACCESS_FIELDS)))
        found = connection.execute(asked, [line, ACCESS_LINE]).fetchall()
    fields = found[0][0] or {}
    assert (fields.get("bytes"), fields.get("agent")) == (count, agent)
