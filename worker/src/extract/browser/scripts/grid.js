// Reads a grid: { selector, busy, settle, paginate: { next, navigates, max_pages }, piece, ms }.
// A plain table is read as it stands; a virtualised one is scrolled through, rows and columns, and its cells are kept by
// their indices, never by their text. Gives { headers, count, rows: the first piece, rowcount, scrolled, pages, more }.
const { selector, busy, settle, paginate, piece, ms } = input;
const end = performance.now() + ms;
const left = () => Math.max(1, end - performance.now());

const ROW_INDEX = ['aria-rowindex', 'row-index', 'data-rowindex', 'data-row-index', 'data-dash-row'];
const COLUMN_INDEX = ['aria-colindex', 'col-id', 'data-colindex', 'data-column-id', 'data-dash-column'];
const ROWS = '[role=row], tr';
const CELLS = '[role=gridcell], [role=cell], [role=rowheader], td, th, [role=columnheader]';

const attribute = (element, names) => {
  for (const name of names) {
    const value = element.getAttribute(name);
    if (value !== null) return value;
  }
  return null;
};
const valueOf = (cell) => {
  const text = cell.textContent.trim();
  if (text) return text;
  return cell.querySelector('img[alt]')?.alt.trim() || null;
};
const cellsOf = (row) => [...row.querySelectorAll(CELLS)].filter((cell) => cell.closest(ROWS) === row);
const isHeaderCell = (cell) => cell.getAttribute('role') === 'columnheader' || (cell.tagName === 'TH' && !cell.closest('tbody'));
const isHeader = (row, cells) => row.closest('thead') !== null || (cells.length > 0 && cells.every(isHeaderCell))
  || (cells.length > 0 && !row.closest('[role=grid], [role=table]') && cells.every((cell) => cell.tagName === 'TH'));

const rest = async (root) => {
  await until(() => !root().closest('[aria-busy=true]') && !root().querySelector('[aria-busy=true]')
    && !(busy && seen(busy)), left(), `the grid at ${selector} stays busy`);
  if (settle > 0) await settled(settle, left());
};

// What has been read of one page: headers and rows by their keys.
class Sheet {
  headers = new Map();
  rows = new Map();
  indexed = false;
  scrolled = false;
  take(root) {
    let place = 0;
    for (const row of root.querySelectorAll(ROWS)) {
      const cells = cellsOf(row);
      if (!cells.length) continue;
      const header = isHeader(row, cells);
      const own = attribute(row, ROW_INDEX) ?? attribute(cells[0], ROW_INDEX);
      if (own !== null && !header) this.indexed = true;
      const key = own !== null ? Number(own) : place;
      if (!header) place += 1;
      const into = header ? this.headers : this.rows.get(key) ?? this.rows.set(key, new Map()).get(key);
      cells.forEach((cell, at) => {
        const column = attribute(cell, COLUMN_INDEX) ?? String(at);
        if (!(header && into.has(column) && !valueOf(cell))) into.set(column, header ? squeeze(cell.textContent) : valueOf(cell));
      });
    }
  }
  // a table without a header row has its names in the first one
  finish() {
    const keys = [...this.rows.keys()].sort((one, other) => one - other);
    if (!this.headers.size && keys.length) {
      this.headers = new Map([...this.rows.get(keys[0])].map(([column, text]) => [column, text ?? '']));
      this.rows.delete(keys.shift());
    }
    const number = ([one], [other]) => Number(one) - Number(other);
    const numbered = [...this.headers.keys()].every((column) => /^\d+$/.test(column));
    const columns = [...this.headers];
    if (numbered) columns.sort(number);
    const rows = keys.map((key) => columns.map(([column, name]) => {
      const row = this.rows.get(key);
      if (!row.has(column)) throw new Error(`incomplete: row ${key} of the grid has no cell of column ${name || column}`);
      return row.get(column);
    }));
    return { headers: columns.map(([, name]) => name), rows, first: keys[0], last: keys.at(-1) };
  }
}

const scrollerOf = (root, axis) => {
  const size = axis === 'y' ? ['scrollHeight', 'clientHeight', 'overflowY'] : ['scrollWidth', 'clientWidth', 'overflowX'];
  const scrolls = (element) => element[size[0]] > element[size[1]] + 1
    && ['auto', 'scroll', 'overlay'].includes(getComputedStyle(element)[size[2]]);
  const inside = [root, ...root.querySelectorAll('*')].filter((element) => !element.matches(CELLS) && scrolls(element));
  if (inside.length) return inside.sort((one, other) => other[size[0]] - one[size[0]])[0];
  for (let up = root.parentElement; up && up !== document.body; up = up.parentElement) if (scrolls(up)) return up;
  return null;
};
const next = new MessageChannel();
const turn = () => new Promise((done) => { next.port1.onmessage = done; next.port2.postMessage(0); });

// Scrolls, and comes back once the grid has drawn anew: many draw in the very event, some in the next frames.
// All rows are looked at: where they are recycled, any of them may be the one that stays, the last one in the document too.
const scrollTo = async (root, scroller, axis, to) => {
  const shown = () => [...root.querySelectorAll(ROWS)].map((row) =>
    `${attribute(row, ROW_INDEX) ?? attribute(row.querySelector(CELLS) ?? row, ROW_INDEX)}:${row.children.length}:${row.textContent}`).join('\n');
  const before = shown();
  const position = axis === 'y' ? 'scrollTop' : 'scrollLeft';
  const was = scroller[position];
  scroller[position] = to;
  if (scroller[position] === was) return false;
  scroller.dispatchEvent(new Event('scroll'));
  const drawn = performance.now() + 400;
  let last = shown();
  // in the very event: as a whole
  if (last !== before) return true;
  for (let turns = 0; performance.now() < drawn; turns += 1) {
    if (turns < 20) await turn();
    else await new Promise((done) => requestAnimationFrame(done));
    const now = shown();
    // drawn, and in one piece: the next look is the same
    if (now !== before && now === last) break;
    last = now;
  }
  return true;
};

// Scrolls through the rows; `again` where they are known, and only other columns of them are in view.
const down = async (root, sheet, again = false) => {
  const scroller = scrollerOf(root, 'y');
  sheet.take(root);
  if (!scroller) return;
  await scrollTo(root, scroller, 'y', 0);
  sheet.take(root);
  let unchanged = 0;
  while (unchanged < 2) {
    if (left() <= 1) throw new Error('time-out: the grid goes on for longer than this step may take');
    const before = sheet.rows.size;
    const moved = await scrollTo(root, scroller, 'y', scroller.scrollTop + Math.max(40, scroller.clientHeight * 0.9));
    // one that grows by itself may need a moment; what is still missing the second time is told as a gap
    if (!moved && again) return;
    if (!moved) await pause(120);
    sheet.scrolled ||= moved;
    sheet.take(root);
    unchanged = moved || sheet.rows.size > before ? 0 : unchanged + 1;
  }
};

const onePage = async () => {
  const root = () => seen(selector) ?? all(selector)[0];
  await until(root, left(), `no grid at ${selector}`);
  await rest(root);
  const sheet = new Sheet();
  const sideways = scrollerOf(root(), 'x');
  if (sideways) await scrollTo(root(), sideways, 'x', 0);
  await down(root(), sheet);
  // columns that are drawn only when they are in view; a plain table has them all
  while (sideways && sheet.indexed
    && await scrollTo(root(), sideways, 'x', sideways.scrollLeft + Math.max(40, sideways.clientWidth * 0.8))) {
    await down(root(), sheet, true);
  }
  const rowcount = Number(root().getAttribute('aria-rowcount') ?? root().querySelector('[aria-rowcount]')?.getAttribute('aria-rowcount') ?? -1);
  const read = sheet.finish();
  if (sheet.indexed && read.rows.length && read.last - read.first + 1 !== read.rows.length) {
    throw new Error(`incomplete: ${read.rows.length} rows of the grid were seen, with gaps between row ${read.first} and row ${read.last}`);
  }
  // a row count counts the header as well
  return { ...read, rowcount: rowcount > 0 ? rowcount - 1 : null, scrolled: sheet.scrolled };
};

const nextButton = () => { const button = seen(paginate.next); return button && isEnabled(button) ? button : null; };
const pageText = () => { const root = seen(selector) ?? all(selector)[0];
  return root && [...root.querySelectorAll(ROWS)].map((row) => row.textContent).join('\n'); };

let pages = 1;
const read = await onePage();
const rows = read.rows;
while (paginate && !paginate.navigates && nextButton()) {
  if (pages >= paginate.max_pages) throw new Error(`endless: more than ${paginate.max_pages} pages`);
  const before = pageText();
  click(nextButton());
  await until(() => pageText() !== before, left(), `page ${pages + 1} is the same as page ${pages}`);
  const page = await onePage();
  rows.push(...page.rows);
  pages += 1;
}
const more = Boolean(paginate?.navigates && nextButton());
globalThis.nstoreRows = rows;
const result = { headers: read.headers, count: rows.length, rows: rows.slice(0, piece), rowcount: paginate ? null : read.rowcount,
  scrolled: read.scrolled, pages, more };
// after the answer: what comes next is another document
if (more) setTimeout(() => click(nextButton()), 0);
return result;
