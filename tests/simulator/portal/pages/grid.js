// A grid that keeps only what can be seen in the document: rows are recycled while it is scrolled, columns come and go.

import { written } from "/powerbi/assets/query.js";

const ROW = 26;
const WIDTH = 240;
const VIEW = { width: 2.5 * WIDTH, height: 20 * ROW };
const AHEAD = 4;
const POOL = 30;
const STEP = 200;

function cell(role, index, text, tag = "div") {
  const element = document.createElement(tag);
  element.setAttribute("role", role);
  element.setAttribute("aria-colindex", index + 1);
  element.style.left = `${index * WIDTH}px`;
  element.style.width = `${WIDTH}px`;
  element.textContent = text;
  return element;
}

function line(rowindex) {
  const element = document.createElement("div");
  element.setAttribute("role", "row");
  element.setAttribute("aria-rowindex", rowindex);
  return element;
}

export class Grid {
  // `more` is called when the last row comes into sight.
  constructor(parent, names, more) {
    this.names = names;
    this.more = more;
    this.rows = [];
    this.limit = Infinity;
    this.element = document.createElement("div");
    this.element.className = "pivotTable";
    this.element.setAttribute("role", "grid");
    this.element.setAttribute("aria-colcount", names.length);
    this.viewport = document.createElement("div");
    this.viewport.className = "viewport";
    this.viewport.tabIndex = 0;
    this.viewport.style.width = `${VIEW.width}px`;
    this.viewport.style.height = `${VIEW.height + ROW}px`;
    this.canvas = document.createElement("div");
    this.canvas.className = "canvas";
    this.canvas.style.width = `${names.length * WIDTH}px`;
    this.head = line(1);
    this.head.className = "head";
    this.canvas.append(this.head);
    this.viewport.append(this.canvas);
    this.element.append(this.viewport);
    parent.append(this.element);
    this.pool = Array.from({ length: POOL }, () => ({ element: line(0), row: -1 }));
    this.columns = [0, -1];
    this.viewport.addEventListener("scroll", () => this.render());
    this.render();
  }

  // Shows rows from the top. `grows` makes them known bit by bit; `uncounted` leaves their number open.
  show(rows, { grows = false, uncounted = false }) {
    this.rows = rows;
    this.limit = grows ? STEP : Infinity;
    this.uncounted = uncounted;
    this.pool.forEach((slot) => (slot.row = -1));
    this.viewport.scrollTo(0, 0);
    this.render();
  }

  append(rows) {
    this.rows = this.rows.concat(rows);
    this.render();
  }

  render() {
    const known = Math.min(this.rows.length, this.limit);
    const { scrollTop, scrollLeft } = this.viewport;
    this.canvas.style.height = `${(known + 1) * ROW}px`;
    this.element.setAttribute("aria-rowcount", this.uncounted ? -1 : known + 1);
    const from = Math.floor(scrollLeft / WIDTH);
    const to = Math.min(this.names.length, Math.ceil((scrollLeft + VIEW.width) / WIDTH)) - 1;
    if (from !== this.columns[0] || to !== this.columns[1]) {
      this.columns = [from, to];
      this.pool.forEach((slot) => (slot.row = -1));
      this.head.replaceChildren(...this.cells((index) => cell("columnheader", index, this.names[index])));
    }
    const first = Math.max(0, Math.floor(scrollTop / ROW) - AHEAD);
    const last = Math.min(known, first + POOL);
    for (const slot of this.pool) {
      if (slot.row < first || slot.row >= last) {
        slot.row = -1;
      }
    }
    for (let row = first; row < last; row += 1) {
      this.fill(this.pool[row % POOL], row);
    }
    this.pool.filter((slot) => slot.row < 0).forEach((slot) => slot.element.remove());
    if (last === known) {
      this.atEnd(known);
    }
  }

  cells(make) {
    const [from, to] = this.columns;
    return Array.from({ length: to - from + 1 }, (_, n) => make(from + n));
  }

  fill(slot, row) {
    if (slot.row === row) {
      return;
    }
    slot.row = row;
    slot.element.setAttribute("aria-rowindex", row + 2);
    slot.element.style.transform = `translateY(${(row + 1) * ROW}px)`;
    if (slot.columns !== this.columns) {
      slot.columns = this.columns;
      slot.element.replaceChildren(...this.cells((index) => cell("gridcell", index, "")));
    }
    const [from] = this.columns;
    const texts = this.rows[row];
    Array.from(slot.element.children).forEach((child, n) => {
      child.textContent = written(this.names[from + n], texts[from + n]);
    });
    if (!slot.element.isConnected) {
      this.canvas.append(slot.element);
    }
  }

  atEnd(known) {
    if (known < this.rows.length) {
      clearTimeout(this.growing);
      this.growing = setTimeout(() => {
        this.limit += STEP;
        this.render();
      }, 50);
    } else if (known > 0) {
      this.more();
    }
  }
}
