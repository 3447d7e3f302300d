// A plain table with pages.

import { written } from "/powerbi/assets/query.js";

const PAGE = 50;

function line(tag, texts) {
  const row = document.createElement("tr");
  row.append(
    ...texts.map((text) => {
      const cell = document.createElement(tag);
      cell.textContent = text;
      return cell;
    }),
  );
  return row;
}

function button(name, text, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = name;
  element.textContent = text;
  element.addEventListener("click", act);
  return element;
}

export class Table {
  constructor(parent, names) {
    this.names = names;
    this.rows = [];
    this.page = 0;
    this.element = document.createElement("table");
    this.element.className = "pivotTable";
    const head = document.createElement("thead");
    head.append(line("th", names));
    this.body = document.createElement("tbody");
    this.element.append(head, this.body);
    const pager = document.createElement("div");
    pager.className = "pager";
    this.back = button("prev", "Previous", () => this.turn(-1));
    this.next = button("next", "Next", () => this.turn(1));
    [this.place, this.count] = ["page", "rowcount"].map((name) => {
      const span = document.createElement("span");
      span.className = name;
      return span;
    });
    pager.append(this.back, this.place, this.next, this.count);
    parent.append(this.element, pager);
    this.render();
  }

  show(rows) {
    this.rows = rows;
    this.page = 0;
    this.render();
  }

  // A page needs a moment, in which the old one still stands there.
  turn(by) {
    if (this.element.getAttribute("aria-busy") === "true") {
      return;
    }
    this.element.setAttribute("aria-busy", "true");
    setTimeout(() => {
      this.page += by;
      this.render();
      this.element.setAttribute("aria-busy", "false");
    }, 60);
  }

  render() {
    const pages = Math.max(1, Math.ceil(this.rows.length / PAGE));
    const shown = this.rows.slice(this.page * PAGE, (this.page + 1) * PAGE);
    const texts = (row) => row.map((value, index) => written(this.names[index], value));
    this.body.replaceChildren(...shown.map((row) => line("td", texts(row))));
    this.back.disabled = this.page === 0;
    this.next.disabled = this.page === pages - 1;
    this.place.textContent = `Page ${this.page + 1} of ${pages}`;
    this.count.textContent = `${this.rows.length.toLocaleString("en-US")} rows`;
  }
}
