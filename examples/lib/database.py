"""Makes shop.sqlite from the CSV files of a shop: orders, payments, reviews.

    database.py CSV_DIR SHOP.sqlite     CSV_DIR holds olist_orders_dataset.csv and its two sisters
    database.py --small CSV_DIR         writes small files of that kind, made up here
"""

import csv
import random
import sqlite3
import sys
from datetime import datetime, timedelta
from pathlib import Path

FILES = {
    "orders": "olist_orders_dataset.csv",
    "payments": "olist_order_payments_dataset.csv",
    "reviews": "olist_order_reviews_dataset.csv",
}

SCHEMA = """
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY, customer_id TEXT, order_status TEXT, order_purchase_timestamp TEXT,
    order_approved_at TEXT, order_delivered_carrier_date TEXT, order_delivered_customer_date TEXT,
    order_estimated_delivery_date TEXT);
CREATE TABLE order_payments (
    order_id TEXT, payment_sequential INTEGER, payment_type TEXT, payment_installments INTEGER, payment_value REAL,
    PRIMARY KEY (order_id, payment_sequential));
CREATE TABLE reviews (
    review_id TEXT, order_id TEXT, review_score INTEGER, review_comment_title TEXT, review_comment_message TEXT,
    review_creation_date TEXT, review_answer_timestamp TEXT,
    PRIMARY KEY (review_id, order_id));
CREATE INDEX orders_by_time ON orders (order_purchase_timestamp);
-- payments carry no date of their own; Datasette pages a view by offset, so its order must be fixed
CREATE VIEW payments AS
    SELECT p.*, o.order_purchase_timestamp
    FROM order_payments p JOIN orders o USING (order_id)
    ORDER BY p.order_id, p.payment_sequential;
"""


def rows(folder, name):
    """The rows of one file; an empty field is no value."""
    with open(Path(folder) / FILES[name], encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {column: value if value != "" else None for column, value in row.items()}


def build(folder, target):
    Path(target).unlink(missing_ok=True)
    database = sqlite3.connect(target)
    database.executescript(SCHEMA)
    for name, table in [("orders", "orders"), ("payments", "order_payments"), ("reviews", "reviews")]:
        for row in rows(folder, name):
            places = ", ".join("?" * len(row))
            database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", list(row.values()))
    database.commit()


def small(folder):
    """Some hundred orders over four months, with the kind of text that people write."""
    chance = random.Random(7)
    texts = ["", "", "Ótimo!", "Não chegou\r\nainda", 'disse "amanhã", e nada', "linha um\nlinha dois", "recomendo 👍🏽 ",
             "a,b;c", "\\N", "NULL", "=1+1", " só um espaço antes"]
    time = datetime(2017, 9, 20)
    orders, payments, reviews = [], [], []
    stamp = lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S")
    for number in range(600):
        # the clocks skip 2017-10-15 00:00 to 01:00 in the shop's zone: no order can carry such a time
        time += timedelta(seconds=chance.randrange(30_000))
        if time.strftime("%Y-%m-%d %H") == "2017-10-15 00":
            time += timedelta(hours=1)
        order = f"{number:08x}{chance.getrandbits(96):024x}"
        approved = stamp(time) if chance.random() < 0.9 else ""
        midnight = (time + timedelta(days=20)).replace(hour=0, minute=0, second=0)
        orders.append([order, f"{chance.getrandbits(128):032x}", chance.choice(["delivered", "canceled", "shipped"]),
                       stamp(time), approved, "", "", stamp(midnight)])
        for sequential in range(1, chance.choice([2, 2, 2, 3, 5])):
            payments.append([order, sequential, chance.choice(["credit_card", "boleto", "voucher"]),
                             chance.randrange(1, 11), chance.randrange(0, 50_000) / 100])
        if chance.random() < 0.8:
            reviews.append([f"{chance.getrandbits(128):032x}", order, chance.randrange(1, 6), chance.choice(texts),
                            chance.choice(texts), stamp(midnight), stamp(midnight + timedelta(hours=30))])
    heads = {
        "orders": "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
                  "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date",
        "payments": "order_id,payment_sequential,payment_type,payment_installments,payment_value",
        "reviews": "review_id,order_id,review_score,review_comment_title,review_comment_message,"
                   "review_creation_date,review_answer_timestamp",
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, lines in [("orders", orders), ("payments", payments), ("reviews", reviews)]:
        with open(Path(folder) / FILES[name], "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(heads[name].split(","))
            writer.writerows(lines)


if __name__ == "__main__":
    if sys.argv[1] == "--small":
        small(sys.argv[2])
    else:
        build(sys.argv[1], sys.argv[2])
