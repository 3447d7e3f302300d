"""Compares loaded tables with where their rows came from: count and a checksum, one line per table.

    compare.py --shop CSV_DIR [--days FIRST LAST] TABLE=orders|payments|reviews… -- PSQL…
    compare.py --own OWN.json -- PSQL…

Tables of the shop are compared with their CSV files, all rows or those of some days; a table of someone's own SQLite
file with what describe.py wrote down about it. PSQL… is how psql is called. The checksum is the sum over all rows of the first 60 bits of an md5 over the row's
values, each led by its length; here it is computed from the files alone, there in SQL.
"""

import argparse
import hashlib
import json
import sqlite3
import struct
import subprocess
import sys
from datetime import datetime, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import database

ZONE = ZoneInfo("America/Sao_Paulo")

SHOP = {
    "orders": [
        ("order_id", "text"), ("customer_id", "text"), ("order_status", "text"),
        ("order_purchase_timestamp", "timestamptz"), ("order_approved_at", "timestamptz"),
        ("order_delivered_carrier_date", "timestamptz"), ("order_delivered_customer_date", "timestamptz"),
        ("order_estimated_delivery_date", "date"),
    ],
    "payments": [
        ("order_id", "text"), ("payment_sequential", "bigint"), ("payment_type", "text"),
        ("payment_installments", "bigint"), ("payment_value", "numeric"), ("order_purchase_timestamp", "timestamptz"),
    ],
    "reviews": [
        ("review_id", "text"), ("order_id", "text"), ("review_score", "bigint"), ("review_comment_title", "text"),
        ("review_comment_message", "text"), ("review_creation_date", "date"), ("review_answer_timestamp", "timestamptz"),
    ],
}


def micros(text, zone):
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    since = moment.astimezone(timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def canonical(value, kind, zone):
    """One value as SQL_TEXT spells it."""
    if kind == "timestamptz":
        return str(micros(value, zone))
    if kind == "date":
        return value[:10]
    if kind == "numeric":
        return str(Decimal(value).quantize(Decimal("0.01")))
    if kind == "double":
        return struct.pack(">d", float(value)).hex()
    return str(value)


# what a row belongs to a day by
DAY = {
    "orders": "order_purchase_timestamp",
    "payments": "order_purchase_timestamp",
    "reviews": "review_creation_date",
}

SQL_TEXT = {
    "timestamptz": "(extract(epoch FROM {c}) * 1000000)::bigint::text",
    "date": "to_char({c}, 'YYYY-MM-DD')",
    "double": "encode(float8send({c}), 'hex')",
}


def expected(rows, columns, zone):
    count = total = 0
    for row in rows:
        text = ""
        for name, kind in columns:
            value = row[name]
            if value is None:
                text += "N;"
            else:
                value = canonical(value, kind, zone)
                text += f"V{len(value.encode())}:{value};"
        count += 1
        total += int(hashlib.md5(text.encode()).hexdigest()[:15], 16)
    return count, total


def query(table, columns):
    parts = []
    for name, kind in columns:
        column = '"' + name.replace('"', '""') + '"'
        text = SQL_TEXT.get(kind, "{c}::text").format(c=column)
        parts.append(f"coalesce('V' || octet_length({text}) || ':' || {text} || ';', 'N;')")
    row = " || ".join(parts)
    return (f"SELECT '{table}', count(*), "
            f"coalesce(sum(('x' || substr(md5({row}), 1, 15))::bit(60)::bigint), 0) FROM \"{table}\"")


def found(psql, tables):
    """All tables in one call: one that is missing spoils its own line only."""
    queries = [part for table, columns in tables.items() for part in ("-c", query(table, columns))]
    command = [*psql, "-X", "-q", "-A", "-t", "-F", "|", *queries]
    output = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False).stdout
    lines = [line.split("|") for line in output.splitlines()]
    return {table: (int(count), int(total)) for table, count, total in lines}


def shop_rows(folder, kind, days):
    rows = database.rows(folder, kind)
    if kind == "payments":
        purchased = {order["order_id"]: order["order_purchase_timestamp"] for order in database.rows(folder, "orders")}
        rows = (
            {**row, "order_purchase_timestamp": purchased[row["order_id"]]}
            for row in rows
            if row["order_id"] in purchased
        )
    return (row for row in rows if not days or days[0] <= row[DAY[kind]][:10] <= days[1])


def own_rows(own):
    connection = sqlite3.connect(own["database"])
    connection.row_factory = sqlite3.Row
    quote = lambda name: '"' + name.replace('"', '""') + '"'
    return connection.execute(f"SELECT * FROM {quote(own['from'])} WHERE {quote(own['date'])} IS NOT NULL")


def main(arguments):
    cut = arguments.index("--")
    parser = argparse.ArgumentParser()
    parser.add_argument("--own")
    parser.add_argument("--shop")
    parser.add_argument("--days", nargs=2)
    parser.add_argument("tables", nargs="*")
    asked, psql = parser.parse_args(arguments[:cut]), arguments[cut + 1:]
    if asked.own:
        with open(asked.own, encoding="utf-8") as file:
            own = json.load(file)
        zone = ZoneInfo("UTC")
        tables = {own["table"]: own["columns"]}
        sources = {own["table"]: own_rows(own)}
    else:
        zone = ZONE
        kinds = dict(table.split("=") for table in asked.tables)
        tables = {table: SHOP[kind] for table, kind in kinds.items()}
        sources = {table: shop_rows(asked.shop, kind, asked.days) for table, kind in kinds.items()}
    there = found(psql, tables)
    different = 0
    for table, columns in tables.items():
        count, total = expected(sources[table], columns, zone)
        rows, checksum = there.get(table, ("no", "none"))
        equal = (rows, checksum) == (count, total)
        different += not equal
        verdict = "equal" if equal else "DIFFERENT"
        print(f"{table:<16} {rows:>8} rows of {count:>8}  checksum {checksum} of {total}  {verdict}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
