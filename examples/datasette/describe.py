"""Writes source and mapping files for a table of someone's own SQLite file.

    describe.py OWN.sqlite TABLE DATE_COLUMN CONFIG_DIR

Types come from the values that are there. Times without an offset are taken as UTC. Prints the first and the last
day; CONFIG_DIR/own.json tells ../lib/compare.py what was written.
"""

import json
import re
import shutil
import sqlite3
import sys
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

SOURCE = """\
kind: api
about: {about}
chunk_days: 30
upload: append
timezone: UTC
base_url: "${{DATASETTE_URL:-http://127.0.0.1:8001}}"
auth: {{ type: none }}
request:
  path: {path}
  params: {{ _shape: objects, _nosuggest: "1" }}
window:
  params: {{ {lower}: start, {upper}: end }}
  format: "{pattern}"
  bounds: half_open
  granularity: {granularity}
paginator:
  type: cursor
  cursor_path: next
  param: _next
  limit_param: _size
  limit: 500
  total_path: filtered_table_rows_count
records: {{ selector: rows }}
mapping: own
"""


def tilde(name):
    """A table's name as Datasette writes it into addresses."""
    plain = lambda byte: chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "-_") else f"~{byte:02X}"
    return "".join("+" if char == " " else "".join(map(plain, char.encode())) for char in name)


def kind_of(values):
    """The column type that holds all values, or None where there is none."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return "text"
    if kinds <= {int}:
        return "bigint"
    return "double" if kinds <= {int, float} else None


def pattern_of(text):
    """How a column writes its times."""
    for pattern in ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]:
        try:
            datetime.strptime(str(text), pattern)
            return pattern
        except ValueError:
            pass
    sys.exit(f"`{text}` is written in none of the ways that this script knows: 2025-08-31 10:00:00, "
             "2025-08-31T10:00:00, 2025-08-31")


def main(file, table, date, config):
    connection = sqlite3.connect(f"file:{quote(file)}?mode=ro", uri=True)
    quoted = lambda name: '"' + name.replace('"', '""') + '"'
    info = connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall()
    if not info:
        sys.exit(f"{file} has no table or view `{table}`")
    columns, left_out = [], []
    for name in [row[1] for row in info]:
        kind = kind_of(value for (value,) in connection.execute(f"SELECT {quoted(name)} FROM {quoted(table)}"))
        plain = re.fullmatch(r"\w+", name)
        (columns if kind and plain else left_out).append((name, kind))
    if date not in [name for name, _ in columns]:
        sys.exit(f"`{date}` is no column of text in `{table}`")
    for name, _ in left_out:
        print(f"column `{name}` is left out: its name or its values fit no column of a table", file=sys.stderr)
    first, last = connection.execute(f"SELECT min({quoted(date)}), max({quoted(date)}) FROM {quoted(table)}").fetchone()
    pattern = pattern_of(first)
    date_kind = "date" if pattern == "%Y-%m-%d" else "timestamptz"
    columns = [(name, date_kind if name == date else kind) for name, kind in columns]

    config = Path(config)
    for folder in ["sources", "mappings"]:
        (config / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).parent / "config" / "pipeline.yaml", config)
    (config / "sources" / "own.yaml").write_text(SOURCE.format(
        about=json.dumps(f"{table} of a SQLite file"),
        path=json.dumps(f"/own/{tilde(table)}.json"),
        lower=json.dumps(f"{date}__gte"), upper=json.dumps(f"{date}__lt"), pattern=pattern,
        granularity="1d" if date_kind == "date" else "1s",
    ), encoding="utf-8")
    keys = [row[1] for row in sorted(info, key=lambda row: row[5]) if row[5]]
    if not all(key in dict(columns) for key in keys):
        keys = []
    target = "own_" + re.sub(r"\W", "_", table).lower()
    lines = [f"table: {target}", f"key: {json.dumps(keys)}" if keys else "", f"range_column: {date}", "columns:"]
    for name, kind in columns:
        more = f', format: "{pattern}"' if name == date else ""
        more += ", required: true" if name == date or name in keys else ""
        lines.append(f"  {json.dumps(name)}: {{ type: {kind}{more} }}")
    mapping = "\n".join(line for line in lines if line) + "\n"
    (config / "mappings" / "own.yaml").write_text(mapping, encoding="utf-8")
    own = {"database": file, "from": table, "date": date, "table": target, "columns": columns}
    (config / "own.json").write_text(json.dumps(own), encoding="utf-8")
    print(first[:10], last[:10])


if __name__ == "__main__":
    main(*sys.argv[1:])
