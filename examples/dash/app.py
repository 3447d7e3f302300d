"""Two dashboards over the shop's database.

    app.py SHOP.sqlite

/orders/ shows all rows of the chosen days in one table that scrolls, and asks as soon as a date is given.
/payments/ shows 100 rows at a time, as the server gives them out, and asks at a press of Apply.
"""

import sqlite3
import sys
from contextlib import closing

from dash import Dash, Input, Output, State, ctx, dash_table, dcc, html
from dash.dash_table.Format import Format, Group, Scheme
from flask import Flask
from werkzeug.serving import make_server

PAGE = 100
ORDERS = ["order_id", "customer_id", "order_status", "order_purchase_timestamp", "order_approved_at",
          "order_delivered_carrier_date", "order_delivered_customer_date", "order_estimated_delivery_date"]
PAYMENTS = ["order_id", "payment_sequential", "payment_type", "payment_installments", "payment_value",
            "order_purchase_timestamp"]
# the week that a dashboard opens with
OPENS = {"start_date": "2018-08-01", "end_date": "2018-08-07", "minimum_nights": 0}
MONEY = {"type": "numeric", "format": Format(precision=2, scheme=Scheme.fixed, group=Group.yes)}

server = Flask(__name__)
orders = Dash("orders", server=server, url_base_pathname="/orders/", title="Orders")
payments = Dash("payments", server=server, url_base_pathname="/payments/", title="Payments")


def query(sql, *values):
    with closing(sqlite3.connect(sys.argv[1])) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(sql, values)]


def title(name):
    return name.replace("_", " ").capitalize()


orders.layout = html.Div([
    html.H1("Orders"),
    dcc.DatePickerRange(id="days", display_format="YYYY-MM-DD", **OPENS),
    html.P(id="shown"),
    dash_table.DataTable(
        id="rows", columns=[{"id": name, "name": title(name)} for name in ORDERS],
        page_action="none", virtualization=True, fixed_rows={"headers": True}, style_table={"height": "500px"},
        style_cell={"minWidth": "220px", "width": "220px", "maxWidth": "220px"},
        export_format="csv", export_headers="ids",
    ),
])


@orders.callback(
    Output("rows", "data"), Output("shown", "children"), Input("days", "start_date"), Input("days", "end_date")
)
def show_orders(start, end):
    rows = query("SELECT * FROM orders WHERE substr(order_purchase_timestamp, 1, 10) BETWEEN ? AND ? "
                 "ORDER BY order_purchase_timestamp, order_id", start, end)
    return rows, f"{len(rows):,} orders from {start} to {end}"


payments.layout = html.Div([
    html.H1("Payments"),
    dcc.DatePickerRange(id="days", display_format="DD/MM/YYYY", **OPENS),
    html.Button("Apply", id="apply"),
    html.P(id="shown"),
    dash_table.DataTable(
        id="rows",
        columns=[{"id": name, "name": name} | (MONEY if name == "payment_value" else {}) for name in PAYMENTS],
        page_action="custom", page_size=PAGE, page_current=0,
    ),
])


@payments.callback(
    Output("rows", "data"), Output("rows", "page_count"), Output("rows", "page_current"), Output("shown", "children"),
    Input("apply", "n_clicks"), Input("rows", "page_current"), State("days", "start_date"), State("days", "end_date"),
)
def show_payments(_, page, start, end):
    page = 0 if ctx.triggered_id == "apply" else page
    chosen = "FROM payments WHERE substr(order_purchase_timestamp, 1, 10) BETWEEN ? AND ?"
    [count] = query(f"SELECT count(*) AS rows {chosen}", start, end)
    rows = query(f"SELECT * {chosen} LIMIT ? OFFSET ?", start, end, PAGE, PAGE * page)
    pages = max(1, -(-count["rows"] // PAGE))
    return rows, pages, page, f"{count['rows']:,} payments from {start} to {end}"


if __name__ == "__main__":
    listener = make_server("127.0.0.1", 0, server, threaded=True)
    print(f"running on http://127.0.0.1:{listener.server_port}", flush=True)
    listener.serve_forever()
