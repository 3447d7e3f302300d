// Reads one page of a grid: { selector, names, by_header, busy, settle, trim, next, turn, page, piece, ms }. Needs cell.js.
// A plain table is read as it is drawn; a virtualised one is scrolled through, rows and columns, and its cells are kept by
// their indices, never by their text. `turn`: the next page is asked for first, in the same document. `page`: which one it is.
// Gives { headers, count, rows: the first piece, rowcount, scrolled, moved, more, pager, other_pager }.
const { selector, names, by_header: byHeader, busy, settle, trim, next, turn: turns, page, piece, ms } = input;
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
// not those that are not displayed: nobody sees such a column
const cellsOf = (row) => [...row.querySelectorAll(CELLS)].filter((cell) => cell.closest(ROWS) === row
  && (cell.checkVisibility() || getComputedStyle(cell).display === 'contents'));
// not those of a table inside a cell, of a sum below, or of a pool of rows that are not in use
const rowsOf = (root) => [...root.querySelectorAll(ROWS)].filter((row) => {
  const cell = row.parentElement.closest(CELLS);
  return !(cell && root.contains(cell)) && !row.closest('tfoot') && row.getClientRects().length > 0
    && getComputedStyle(row).visibility === 'visible';
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

// What grids draw before a row's data is there: a word for it in place of all data, or with dots in place of a cell's; or an
// element without a text that is marked as busy or by its class.
const WORDS = 'loading|please wait|lade|lädt|wird geladen|chargement|cargando|carregando|caricamento';
const LOADING_ROW = new RegExp(`^\\s*(${WORDS})[\\s.…]*$`, 'i');
const LOADING_CELL = new RegExp(`^\\s*(${WORDS})\\s*(…|\\.{2,})\\s*$`, 'i');
const LOADING_CLASS = /(^|[-_])(skeleton|shimmer|loading|placeholder)([-_]|$)|Skeleton|Shimmer/;
const CONTROLS = 'img, svg, input, select, textarea, [aria-checked]';
const isMarked = (element) => element.getAttribute('aria-busy') === 'true' || [...element.classList].some((name) => LOADING_CLASS.test(name));
const isBlank = (element) => !element.textContent.trim() && !element.querySelector(CONTROLS) && !valueOf(element);
const isLoading = (element, words) => element.getAttribute('aria-busy') === 'true' || element.querySelector('[aria-busy=true]') !== null
  || words.test(element.textContent) || (!element.textContent.trim()
    && [element, ...element.querySelectorAll('*')].some((one) => isMarked(one) && !one.querySelector(CONTROLS)));
const indexOf = (row, cells) => attribute(row, ROW_INDEX) ?? (cells.length ? attribute(cells[0], ROW_INDEX) : null);

// How far the rows in view are from what they will show: `loading`, `blank` (no cell says anything), `thin` (only one of
// several does), `gaps` (some do not), or nothing.
const stateOf = (row) => {
  const cells = cellsOf(row);
  if (!cells.length || isHeader(row, cells)) return null;
  if (isLoading(row, LOADING_ROW) || cells.some((cell) => isLoading(cell, LOADING_CELL))) return 'loading';
  const blank = cells.filter(isBlank).length;
  if (blank === 0) return null;
  if (blank === cells.length) return 'blank';
  return cells.length > 2 && blank === cells.length - 1 ? 'thin' : 'gaps';
};
let fruitless = 0;
const PATIENCE = { blank: 1500, thin: 1500, gaps: 100 };
// Waits until the rows in view have their data. What stays empty may be empty in truth: the more often that was so, the
// shorter the wait; but a row of a virtualised grid without anything in it is one that has not come.
const drawn = async (root, sheet) => {
  const open = () => rowsOf(root()).filter((row) => !sheet.isRead(row)).map((row) => [row, stateOf(row)])
    .filter(([row, state]) => state !== null && !sheet.knows(indexOf(row, cellsOf(row)), state));
  let found = open();
  const isHard = ([row, state]) => state === 'loading' || (state === 'blank' && indexOf(row, cellsOf(row)) !== null);
  if (found.some(isHard)) {
    await until(() => !open().some(isHard), left(), '').catch(() => {
      const [row, state] = open().find(isHard) ?? [];
      if (!row) return;
      const which = indexOf(row, cellsOf(row)) ?? rowsOf(root()).indexOf(row) + 1;
      throw new Error(`incomplete: row ${which} of the grid ${state === 'blank' ? 'stays empty' : 'is still loading'}`);
    });
    found = open();
  }
  if (!found.length) return;
  const worst = ['blank', 'thin', 'gaps'].find((state) => found.some(([, one]) => one === state));
  if (!worst) return;
  if (fruitless >= 3) {
    await frames();
    return;
  }
  const count = found.length;
  const filled = await until(() => open().length < count, Math.min(left(), PATIENCE[worst]), '').then(() => true, () => false);
  fruitless = filled ? 0 : fruitless + 1;
  if (filled) await drawn(root, sheet);
};

// What has been read of one page: headers and rows by their keys.
class Sheet {
  headers = new Map();
  headerIndex = null;
  rows = new Map();
  texts = new Map();
  read = new Map();
  indexed = false;
  columned = false;
  scrolled = false;
  grown = false;
  moved = false;

  take(root) {
    let place = 0;
    for (const row of rowsOf(root)) {
      if (this.isRead(row)) continue;
      const cells = cellsOf(row);
      if (!cells.length) continue;
      const own = indexOf(row, cells);
      if (isHeader(row, cells)) {
        if (own !== null) this.headerIndex = Number(own);
        this.columned ||= cells.some((cell) => attribute(cell, COLUMN_INDEX) !== null);
        this.put(this.headers, cells, (cell) => squeeze(shownText(cell, true)), 'the header');
        continue;
      }
      // a word such as `no data` across all columns is no row
      if (cells.length === 1 && cells[0].colSpan > 1) continue;
      const key = own !== null ? Number(own) : place;
      place += 1;
      if (own !== null) this.indexed = true;
      else this.recognise(key, row.textContent);
      if (!this.rows.has(key)) this.rows.set(key, new Map());
      this.put(this.rows.get(key), cells, (cell) => valueOf(cell, trim), own !== null ? `row ${key}` : null);
      if (own !== null && !row.querySelector(CONTROLS) && this.isWhole(key)) this.read.set(key, row.textContent);
    }
  }

  // A row with an index that was read whole and still says the same: reading cells costs most of a scroll step. The
  // columns in view are part of what a row says.
  isRead(row) {
    const own = attribute(row, ROW_INDEX) ?? attribute(row.querySelector(CELLS) ?? row, ROW_INDEX);
    return own !== null && this.read.get(Number(own)) === row.textContent;
  }

  isWhole(key) {
    return [...this.rows.get(key).values()].every((value) => value !== null);
  }

  // A cell that says nothing any more, or not yet, does not take the place of what was read.
  put(into, cells, value, row) {
    let at = 0;
    for (const cell of cells) {
      const column = attribute(cell, COLUMN_INDEX) ?? String(at);
      const found = value(cell);
      const before = into.get(column);
      if (row && into !== this.headers && before && found && before !== found) {
        throw new Error(`incomplete: the grid changes while it is read: ${row} said \`${before}\`, and says \`${found}\` now`);
      }
      if (found || !before) into.set(column, found);
      at += cell.colSpan || 1;
    }
  }

  // What was read of a row whole need not be waited for.
  knows(index, state) {
    return state !== 'loading' && index !== null && this.rows.has(Number(index)) && this.isWhole(Number(index));
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
const channel = new MessageChannel();
const turn = () => new Promise((done) => { channel.port1.onmessage = done; channel.port2.postMessage(0); });

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

const take = async (sheet) => {
  await drawn(() => grid() ?? document.body, sheet);
  const root = grid();
  if (!root) throw new Error('incomplete: the grid went away while it was read');
  sheet.take(root);
};

// A list that goes on at its end: all rows are there, until more come where one scrolls down to the last.
const toTheEnd = async (scroller, sheet) => {
  for (;;) {
    if (left() <= 1) throw new Error('time-out: the grid goes on for longer than this step may take');
    const before = sheet.rows.size;
    const was = scroller.scrollTop;
    scroller.scrollTop = scroller.scrollHeight;
    sheet.moved ||= scroller.scrollTop !== was || was > 0;
    scroller.dispatchEvent(new Event('scroll'));
    await rest();
    await take(sheet);
    if (sheet.rows.size <= before) return;
    sheet.grown = true;
  }
};

// Scrolls through the rows; `again` where they are known, and only other columns of them are in view.
const down = async (root, sheet, again = false) => {
  const scroller = scrollerOf(root, 'y');
  await take(sheet);
  if (!scroller) return;
  if (!sheet.indexed && isDrawn(root, scroller)) {
    if (!again && sheet.rows.size) await toTheEnd(scroller, sheet);
    return;
  }
  await scrollTo(root, scroller, 'y', 0);
  await take(sheet);
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
    await take(sheet);
    unchanged = moved || sheet.rows.size > before ? 0 : unchanged + 1;
  }
};

const look = async () => {
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
  // a page that scrolls proves nothing of its table; rows that come with scrolling do, once no more come
  return { ...read, rowcount, scrolled: (sheet.indexed && sheet.scrolled) || sheet.grown,
    moved: sheet.moved };
};

// A grid that changes while it is read is read again.
const onePage = async () => {
  for (let tries = 1; ; tries += 1) {
    try {
      return await look();
    } catch (error) {
      if (tries >= 3 || !/^incomplete: the grid changes/.test(error.message)) throw error;
    }
  }
};

const DISABLED = /(^|[-_])disabled$/;
const isOff = (element) => !isEnabled(element) || element.closest('fieldset:disabled') !== null
  || [element, element.closest('li')].some((one) => one && ([...one.classList].some((name) => DISABLED.test(name)) || one.getAttribute('aria-disabled') === 'true'));
const isOn = (element) => isSeen(element) && !isOff(element);
const nextButton = () => all(next).find(isOn) ?? null;
const dataRows = () => {
  const root = grid();
  return root ? rowsOf(root).filter((row) => {
    const cells = cellsOf(row);
    return cells.length > 0 && !isHeader(row, cells) && !(cells.length === 1 && cells[0].colSpan > 1);
  }) : [];
};
const pageText = () => dataRows().map((row) => row.textContent).join('\n');

if (turns) {
  const before = pageText();
  click(await until(nextButton, left(), `${next} cannot be clicked any more`));
  await until(() => pageText() !== before && dataRows().length, left(), '').catch(() => {
    throw new Error(dataRows().length ? `incomplete: page ${page} is the same as page ${page - 1}`
      : `incomplete: page ${page} of the grid shows no row after the click on ${next}`);
  });
} else if (page > 1) {
  await until(() => dataRows().length, left(), `page ${page} of the grid shows no row`);
}
const read = await onePage();
// a pager may be drawn after the rows, or be off while they come
const PAGER = 1500;
const pager = Boolean(next) && all(next).length > 0;
const more = Boolean(next) && await until(nextButton, Math.min(left(), pager ? Math.max(settle, 300) : PAGER), '').then(() => true, () => false);
const OTHER = '[rel=next], [aria-label="next" i], [aria-label*="next page" i], [title*="next page" i], .paginate_button.next, .pagination .next, .page-item .page-link[aria-label=Next]';
const otherPager = !next && [...document.querySelectorAll(OTHER)].some(isOn);
globalThis.nstoreRows = read.rows;
return { headers: read.headers, count: read.rows.length, rows: read.rows.slice(0, piece), rowcount: next ? null : read.rowcount,
  scrolled: read.scrolled, moved: read.moved, more, pager: pager || more, other_pager: otherPager };
