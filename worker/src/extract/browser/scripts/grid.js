// Reads a grid: { selector, names, by_header, busy, settle, paginate: { next, navigates, max_pages }, piece, ms }.
// A plain table is read as it stands; a virtualised one is scrolled through, rows and columns, and its cells are kept by
// their indices, never by their text. Gives { headers, count, rows: the first piece, rowcount, scrolled, pages, more }.
const { selector, names, by_header: byHeader, busy, settle, paginate, piece, ms } = input;
const end = performance.now() + ms;
const left = () => Math.max(1, end - performance.now());

const ROW_INDEX = ['aria-rowindex', 'row-index', 'data-rowindex', 'data-row-index', 'data-dash-row'];
const COLUMN_INDEX = ['aria-colindex', 'col-id', 'data-colindex', 'data-column-id', 'data-dash-column'];
const ROWS = '[role=row], tr';
const CELLS = '[role=gridcell], [role=cell], [role=rowheader], td, th, [role=columnheader]';

const attribute = (element, known) => {
  for (const name of known) {
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
// not those of a table inside a cell, of a sum below, or of a pool of rows that are not in use
const rowsOf = (root) => [...root.querySelectorAll(ROWS)].filter((row) => {
  const cell = row.parentElement.closest(CELLS);
  return !(cell && root.contains(cell)) && !row.closest('tfoot') && row.getClientRects().length > 0;
});
const isHeaderCell = (cell) => cell.getAttribute('role') === 'columnheader' || (cell.tagName === 'TH' && !cell.closest('tbody'));
const isHeader = (row, cells) => row.closest('thead') !== null || cells.every(isHeaderCell)
  || (!row.closest('[role=grid], [role=table]') && cells.every((cell) => cell.tagName === 'TH'));

// the one grid: which of two is meant cannot be told
const grid = () => {
  const shown = all(selector).filter(isSeen);
  if (shown.length > 1) throw new Error(`config: ${shown.length} grids at ${selector}: which one is meant?`);
  return shown[0];
};
const rest = async () => {
  const root = () => grid() ?? document.body;
  await until(() => !root().closest('[aria-busy=true]') && !root().querySelector('[aria-busy=true]')
    && !(busy && seen(busy)), left(), `the grid at ${selector} stays busy`);
  if (settle > 0) await settled(settle, left());
};

// What has been read of one page: headers and rows by their keys.
class Sheet {
  headers = new Map();
  headerIndex = null;
  rows = new Map();
  texts = new Map();
  indexed = false;
  columned = false;
  scrolled = false;

  take(root) {
    let place = 0;
    for (const row of rowsOf(root)) {
      const cells = cellsOf(row);
      if (!cells.length) continue;
      const own = attribute(row, ROW_INDEX) ?? attribute(cells[0], ROW_INDEX);
      if (isHeader(row, cells)) {
        if (own !== null) this.headerIndex = Number(own);
        this.columned ||= cells.some((cell) => attribute(cell, COLUMN_INDEX) !== null);
        this.put(this.headers, cells, (cell) => squeeze(cell.textContent), true);
        continue;
      }
      // a word such as `no data` across all columns is no row
      if (cells.length === 1 && cells[0].colSpan > 1) continue;
      const key = own !== null ? Number(own) : place;
      place += 1;
      if (own !== null) this.indexed = true;
      else this.recognise(key, row.textContent);
      if (!this.rows.has(key)) this.rows.set(key, new Map());
      this.put(this.rows.get(key), cells, valueOf, false);
    }
  }

  put(into, cells, value, keepsOld) {
    let at = 0;
    for (const cell of cells) {
      const column = attribute(cell, COLUMN_INDEX) ?? String(at);
      const found = value(cell);
      if (!(keepsOld && into.get(column) && !found)) into.set(column, found);
      at += cell.colSpan || 1;
    }
  }

  // by their place alone, rows that are used again for others cannot be told from them
  recognise(key, text) {
    const before = this.texts.get(key);
    if (before !== undefined && before !== text) {
      throw new Error('incomplete: the grid uses its rows again while it scrolls, and gives them no index');
    }
    this.texts.set(key, text);
  }

  finish() {
    const keys = [...this.rows.keys()].sort((one, other) => one - other);
    let columns = [...this.headers];
    if (!columns.length && keys.length) {
      // a table without a header row may have its names in the first one
      const first = [...this.rows.get(keys[0])];
      const said = first.map(([, text]) => squeeze(text ?? '').toLowerCase());
      if (names.every((name) => said.includes(squeeze(name).toLowerCase()))) {
        columns = first.map(([column, text]) => [column, text ?? '']);
        this.rows.delete(keys.shift());
      } else if (byHeader) {
        throw new Error(`config: the grid at ${selector} has no header to tell columns by; take them by their place`);
      } else {
        columns = first.map(([column]) => [column, '']);
      }
    }
    const number = ([one], [other]) => Number(one) - Number(other);
    if (columns.every(([column]) => /^\d+$/.test(column))) columns.sort(number);
    const rows = keys.map((key) => this.line(key, columns));
    return { headers: columns.map(([, name]) => name), rows, first: keys[0], last: keys.at(-1) };
  }

  line(key, columns) {
    const row = this.rows.get(key);
    const other = [...row.keys()].find((column) => !columns.some(([known]) => known === column));
    if (other !== undefined) throw new Error(`incomplete: row ${key} of the grid has a cell without a header`);
    return columns.map(([column, name]) => {
      if (!row.has(column)) throw new Error(`incomplete: row ${key} of the grid has no cell of column ${name || column}`);
      return row.get(column);
    });
  }
}

const scrollerOf = (root, axis) => {
  const size = axis === 'y' ? ['scrollHeight', 'clientHeight', 'overflowY'] : ['scrollWidth', 'clientWidth', 'overflowX'];
  const scrolls = (element) => element[size[0]] > element[size[1]] + 1
    && ['auto', 'scroll', 'overlay'].includes(getComputedStyle(element)[size[2]]);
  const inside = [root, ...root.querySelectorAll('*')].filter((element) => !element.matches(CELLS) && scrolls(element));
  if (inside.length) return inside.sort((one, other) => other[size[0]] - one[size[0]])[0];
  for (let up = root.parentElement; up && up !== document.body; up = up.parentElement) if (scrolls(up)) return up;
  const page = document.scrollingElement;
  return axis === 'y' && page.scrollHeight > page.clientHeight + 1 ? page : null;
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
    else await frame();
    const now = shown();
    // drawn, and in one piece: the next look is the same
    if (now !== before && now === last) break;
    last = now;
  }
  return true;
};

// Rows down to the end of what scrolls: a plain table has them all.
const isDrawn = (root, scroller) => {
  const last = rowsOf(root).at(-1)?.getBoundingClientRect();
  if (!last || scroller === document.scrollingElement) return true;
  const bottom = last.bottom - scroller.getBoundingClientRect().top + scroller.scrollTop;
  return bottom >= scroller.scrollHeight - 2 * last.height;
};

// Scrolls through the rows; `again` where they are known, and only other columns of them are in view.
const down = async (root, sheet, again = false) => {
  const scroller = scrollerOf(root, 'y');
  sheet.take(root);
  if (!scroller) return;
  if (!sheet.indexed && isDrawn(root, scroller)) return;
  await scrollTo(root, scroller, 'y', 0);
  sheet.take(root);
  let unchanged = 0;
  while (unchanged < 2) {
    if (left() <= 1) throw new Error('time-out: the grid goes on for longer than this step may take');
    const before = sheet.rows.size;
    const moved = await scrollTo(root, scroller, 'y', scroller.scrollTop + Math.max(40, scroller.clientHeight * 0.9));
    // what is still missing the second time is told as a gap
    if (!moved && again) return;
    // at its end it may ask for more
    if (!moved) await rest();
    sheet.scrolled ||= moved;
    sheet.take(root);
    unchanged = moved || sheet.rows.size > before ? 0 : unchanged + 1;
  }
};

const onePage = async () => {
  await until(grid, left(), `no grid to be seen at ${selector}`);
  await rest();
  const sheet = new Sheet();
  const sideways = scrollerOf(grid(), 'x');
  if (sideways) await scrollTo(grid(), sideways, 'x', 0);
  await down(grid(), sheet);
  // columns that are drawn only when they are in view; a plain table has them all
  const comeAndGo = () => sheet.indexed || (sheet.columned && !sheet.rows.size);
  while (sideways && comeAndGo()
    && await scrollTo(grid(), sideways, 'x', sideways.scrollLeft + Math.max(40, sideways.clientWidth * 0.8))) {
    await down(grid(), sheet, true);
  }
  const read = sheet.finish();
  if (sheet.indexed && read.rows.length) {
    const before = sheet.headerIndex !== null ? sheet.headerIndex + 1 : read.first;
    if (read.first !== before || read.last - read.first + 1 !== read.rows.length) {
      throw new Error(`incomplete: ${read.rows.length} rows of the grid were seen, with gaps between row ${before} and row ${read.last}`);
    }
  }
  // a row count and row indices count alike, header and all
  const said = Number(grid().getAttribute('aria-rowcount') ?? grid().querySelector('[aria-rowcount]')?.getAttribute('aria-rowcount') ?? -1);
  const rowcount = said > 0 && sheet.indexed && read.rows.length ? read.rows.length + said - read.last : null;
  return { ...read, rowcount, scrolled: sheet.scrolled };
};

const nextButton = () => { const button = seen(paginate.next); return button && isEnabled(button) ? button : null; };
const pageText = () => { const root = grid(); return root && rowsOf(root).map((row) => row.textContent).join('\n'); };

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
