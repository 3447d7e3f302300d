// The text of a cell as a person sees it. Needs page.js.
// Follows the layout: what is not displayed is left out, line breaks and the ends of blocks are one blank, blanks collapse as
// CSS says, and blanks that are kept by CSS (`pre`, a no-break space) stay.

const UNSEEN = new Set(['SCRIPT', 'STYLE', 'TEMPLATE', 'NOSCRIPT', 'HEAD', 'TITLE', 'DATALIST', 'OPTION', 'OPTGROUP', 'IFRAME', 'OBJECT',
  'CANVAS', 'VIDEO', 'AUDIO', 'PROGRESS', 'METER', 'RP', 'title', 'desc', 'defs', 'metadata']);
const TICKS = 'input[type=checkbox], input[type=radio], [role=checkbox][aria-checked], [role=switch][aria-checked], [role=radio][aria-checked]';
// a blank that collapses; it cannot occur in what was read
const BLANK = '\u0001';
const FAR = 500;

// A box of no size that cuts off what is in it, a clip that leaves nothing, or a place far outside of the cell.
const isClippedAway = (element, style, cell) => {
  const box = element.getBoundingClientRect();
  const cut = style.overflowX !== 'visible' || style.overflowY !== 'visible';
  if (cut && style.display !== 'inline' && style.display !== 'contents' && (box.width <= 1 || box.height <= 1)) return true;
  if (/^(inset\((5\d|[6-9]\d|100)(\.\d+)?%\)|circle\(0)/.test(style.clipPath)) return true;
  if (style.position !== 'absolute' && style.position !== 'fixed') return false;
  const [top, right, bottom, left] = (/^rect\((.*)\)$/.exec(style.clip)?.[1] ?? '').split(/[\s,]+/).map(parseFloat);
  if (right - left <= 1 || bottom - top <= 1) return true;
  const own = cell.getBoundingClientRect();
  return box.right < own.left - FAR || box.bottom < own.top - FAR;
};

// Not for the cell itself, which may be fading in: for what is inside of it.
const isHiddenInside = (element, style, cell) => UNSEEN.has(element.tagName) || style.display === 'none'
  // without a box of its own, an element that is displayed as its contents counts as not to be seen
  || (style.display !== 'contents' && !element.checkVisibility())
  || (style.opacity === '0' && !element.getAnimations().length) || isClippedAway(element, style, cell);

const isPainted = (style) => style.visibility === 'visible' && parseFloat(style.fontSize) > 0 && parseFloat(style.textIndent) > -FAR
  && !(/^rgba\(.*, 0\)$|\/ 0\)$/.test(style.webkitTextFillColor) && style.backgroundClip !== 'text' && style.textShadow === 'none');

const cased = (text, transform) => {
  switch (transform) {
    case 'uppercase': return text.toLocaleUpperCase(document.documentElement.lang || undefined);
    case 'lowercase': return text.toLocaleLowerCase(document.documentElement.lang || undefined);
    case 'capitalize': return text.replace(/(?<![\p{L}\p{N}'’])\p{L}/gu, (letter) => letter.toLocaleUpperCase());
    default: return text;
  }
};

const flowed = (text, style) => {
  const plain = cased(text.replaceAll(BLANK, ''), style.textTransform);
  switch (style.whiteSpaceCollapse) {
    case 'preserve':
    case 'break-spaces': return plain;
    case 'preserve-breaks': return plain.replace(/[ \t]+/g, BLANK);
    default: return plain.replace(/[ \t\r\n\f]+/g, BLANK);
  }
};

// Text that a style sheet puts before or after an element; not pictures out of an icon font.
const generated = (element, which) => {
  const style = getComputedStyle(element, which);
  if (style.content === 'none' || style.content === 'normal' || style.display === 'none' || style.visibility !== 'visible'
    || style.opacity === '0' || style.position === 'absolute' || style.position === 'fixed') return '';
  const said = [...style.content.matchAll(/"((?:\\.|[^"\\])*)"|attr\(\s*([-\w]+)[^)]*\)/g)]
    .map(([, text, name]) => (name ? element.getAttribute(name) ?? '' : text.replace(/\\([0-9a-f]{1,6}) ?|\\(.)/gi,
      (_, code, sign) => (code ? String.fromCodePoint(parseInt(code, 16)) : sign)))).join('');
  const text = flowed(said.replace(/\p{Co}/gu, ''), style);
  return style.display.startsWith('inline') ? text : BLANK + text + BLANK;
};

const isTicked = (tick) => (tick.tagName === 'INPUT' ? tick.checked : tick.getAttribute('aria-checked') === 'true');

// What a form's field shows.
const shownValue = (field) => {
  if (field.tagName === 'SELECT') return [...field.selectedOptions].map((option) => squeeze(option.label || option.textContent)).join(', ');
  if (field.tagName === 'TEXTAREA') return field.value;
  if (['hidden', 'password', 'file', 'image', 'checkbox', 'radio'].includes(field.type)) return '';
  return field.value;
};

const isRadio = (tick) => tick.type === 'radio' || tick.getAttribute('role') === 'radio';

const childrenOf = (node) => {
  if (node.tagName === 'DETAILS' && !node.open) return [...node.children].filter((child) => child.tagName === 'SUMMARY').slice(0, 1);
  const assigned = node.tagName === 'SLOT' ? node.assignedNodes({ flatten: true }) : [];
  return assigned.length ? assigned : (node.shadowRoot ?? node).childNodes;
};

const pieces = (node, context, out) => {
  if (node.nodeType === Node.TEXT_NODE) {
    const style = getComputedStyle(node.parentElement ?? node.getRootNode().host);
    if (isPainted(style)) out.push(flowed(node.data, style));
    return;
  }
  if (node.nodeType !== Node.ELEMENT_NODE) return;
  const { cell, plain } = context;
  const style = getComputedStyle(node);
  if (node.tagName === 'BR') {
    if (style.display !== 'none') out.push(BLANK);
    return;
  }
  if (node !== cell && isHiddenInside(node, style, cell)) return;
  if (['INPUT', 'SELECT', 'TEXTAREA'].includes(node.tagName)) {
    if (!plain && style.visibility === 'visible') out.push(BLANK, shownValue(node).replaceAll(BLANK, ''), BLANK);
    return;
  }
  const inline = node === cell || style.display.startsWith('inline') || style.display === 'contents' || style.display.startsWith('ruby');
  if (!inline) out.push(BLANK);
  if (!plain) out.push(generated(node, '::before'));
  for (const child of childrenOf(node)) pieces(child, context, out);
  if (!plain) out.push(generated(node, '::after'));
  if (!inline) out.push(BLANK);
};

const isSeenTick = (tick, cell) => {
  const style = getComputedStyle(tick);
  if (!tick.checkVisibility() || style.visibility !== 'visible') return false;
  // a box of the page's own drawing lies over the real one
  const drawn = [...(tick.labels ?? [])].some(isSeen) || style.appearance === 'none';
  return drawn || !isHiddenInside(tick, style, cell);
};

// `plain`: without form fields and text of style sheets, as names of columns are read.
const shownText = (cell, plain = false) => {
  const out = [];
  pieces(cell, { cell, plain }, out);
  return out.join('').replace(new RegExp(`${BLANK}+`, 'g'), BLANK).replace(new RegExp(`^${BLANK}|${BLANK}$`, 'g'), '')
    .replaceAll(BLANK, ' ');
};

// The text of a radio button: its label's, or what is between it and the next one.
const radioText = (radio, next, cell) => {
  const label = [...(radio.labels ?? [])].find(isSeen);
  if (label) return shownText(label);
  const range = document.createRange();
  range.setStartAfter(radio);
  if (next) range.setEndBefore(next);
  else range.setEndAfter(cell.lastChild);
  return squeeze(range.toString()) || (radio.getAttribute('aria-label') ?? radio.value ?? '');
};

// What a cell says: of several radio buttons the chosen one; its text; without any, the state of its tick box, or what its
// picture shows. Null when it says nothing.
const valueOf = (cell, trim) => {
  const ticks = cell.firstElementChild ? [...cell.querySelectorAll(TICKS)].filter((tick) => isSeenTick(tick, cell)) : [];
  const radios = ticks.filter(isRadio);
  const chosen = radios.find(isTicked);
  if (radios.length > 1) return (chosen && radioText(chosen, radios[radios.indexOf(chosen) + 1], cell)) || null;
  const text = shownText(cell);
  if (text.trim()) return trim ? text.trim() : text;
  if (ticks.length) return ticks.map((tick) => String(isTicked(tick))).join(' ');
  if (!cell.firstElementChild) return null;
  const picture = [...cell.querySelectorAll('img[alt], [role=img][aria-label]')].find(isSeen);
  return (picture?.alt ?? picture?.getAttribute('aria-label') ?? '').trim() || null;
};
