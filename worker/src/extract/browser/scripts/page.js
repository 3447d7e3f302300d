// What all scripts share: finding, waiting, acting. Runs inside the page, before the script that uses it.
// A selector is CSS; XPath when it starts with `/` or `(`; visible text after `text=`.

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

const squeeze = (text) => (text ?? '').replace(/\s+/g, ' ').trim();

// An XPath may find a text, which is seen where its element is.
const isSeen = (node) => {
  const element = node?.nodeType === Node.TEXT_NODE ? node.parentElement : node;
  if (!element?.isConnected) return false;
  const box = element.getBoundingClientRect();
  const style = getComputedStyle(element);
  return box.width > 0 && box.height > 0 && style.visibility !== 'hidden' && style.display !== 'none'
    && style.opacity !== '0';
};

const isEnabled = (element) => !element.disabled && element.getAttribute('aria-disabled') !== 'true'
  && !element.classList.contains('disabled');

// Elements of a visible text: the innermost ones that hold just this text, what one can click first.
const byText = (wanted) => {
  const text = squeeze(wanted);
  const own = [...document.querySelectorAll('body *')].filter((element) => {
    if (['SCRIPT', 'STYLE', 'NOSCRIPT', 'TEMPLATE'].includes(element.tagName)) return false;
    const shown = element.tagName === 'INPUT' && ['submit', 'button'].includes(element.type)
      ? element.value : element.textContent;
    return squeeze(shown) === text;
  });
  const innermost = own.filter((element) => !own.some((other) => other !== element && element.contains(other)));
  const clickable = (element) => element.closest('button, a, [role=button], [role=menuitem], [role=option]') ? 0 : 1;
  return innermost.sort((one, other) => clickable(one) - clickable(other));
};

const all = (selector) => {
  if (selector.startsWith('text=')) return byText(selector.slice(5));
  if (selector.startsWith('/') || selector.startsWith('(')) {
    const found = document.evaluate(selector, document, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE, null);
    return Array.from({ length: found.snapshotLength }, (_, at) => found.snapshotItem(at));
  }
  return [...document.querySelectorAll(selector)];
};

const seen = (selector) => all(selector).find(isSeen);

// Asks until there is an answer; looks again when the page changes, and every 100 ms all the same. `kind` is what its
// error begins with: `absent` says that an element which the source names is not there.
const until = async (ask, ms, what, kind = 'time-out') => {
  const end = performance.now() + ms;
  for (;;) {
    const answer = ask();
    if (answer) return answer;
    const left = end - performance.now();
    if (left <= 0) throw new Error(`${kind}: ${what}`);
    await new Promise((done) => {
      const watch = new MutationObserver(() => finish());
      const timer = setTimeout(() => finish(), Math.min(100, left));
      const finish = () => { watch.disconnect(); clearTimeout(timer); done(); };
      watch.observe(document, { childList: true, subtree: true, attributes: true, characterData: true });
    });
  }
};

// Whether the page was left alone for a while.
const settled = async (quiet, ms) => {
  const end = performance.now() + ms;
  let changed = performance.now();
  const watch = new MutationObserver(() => { changed = performance.now(); });
  watch.observe(document, { childList: true, subtree: true, characterData: true });
  try {
    while (performance.now() - changed < quiet) {
      if (performance.now() > end) throw new Error(`time-out: the page did not come to rest for ${quiet} ms`);
      await pause(Math.min(50, quiet));
    }
  } finally {
    watch.disconnect();
  }
};

// The mouse over an element, as far as a script can say so.
const over = (element) => {
  element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
  const box = element.getBoundingClientRect();
  const at = { bubbles: true, cancelable: true, composed: true, view: window,
    clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, button: 0 };
  for (const [over, enter, move, Kind] of [['pointerover', 'pointerenter', 'pointermove', PointerEvent], ['mouseover', 'mouseenter', 'mousemove', MouseEvent]]) {
    element.dispatchEvent(new Kind(over, at));
    element.dispatchEvent(new Kind(enter, { ...at, bubbles: false }));
    element.dispatchEvent(new Kind(move, at));
  }
  return at;
};

// As a person would: the mouse over it, a press and a release at its middle, then the click itself.
const click = (element) => {
  const at = over(element);
  element.dispatchEvent(new PointerEvent('pointerdown', { ...at, pointerId: 1, isPrimary: true }));
  element.dispatchEvent(new MouseEvent('mousedown', at));
  element.focus?.();
  element.dispatchEvent(new PointerEvent('pointerup', { ...at, pointerId: 1, isPrimary: true }));
  element.dispatchEvent(new MouseEvent('mouseup', at));
  element.click();
};

// Two frames on, what was drawn has taken effect. A frame that is out of view draws none, so time counts as well.
const frame = () => Promise.race([new Promise((done) => requestAnimationFrame(done)), pause(50)]);
const frames = async () => { await frame(); await frame(); };

// Secrets are typed into pages of their own origin only.
const mustBeOwn = (origins) => {
  if (!origins.includes(location.origin)) {
    throw new Error(`foreign: the page is at ${location.origin}, and secrets go to ${origins.join(' or ')} alone`);
  }
};

// Fields that take no other text than one of their own kind.
const OF_A_KIND = ['date', 'datetime-local', 'month', 'time', 'week', 'number', 'color', 'range'];

// What cannot be written into is a mistake of the source's; `what` is its selector.
const mustBeField = (element, what) => {
  const tag = element.tagName.toLowerCase();
  const isField = tag === 'textarea' || tag === 'input' && !['button', 'submit', 'reset', 'image', 'checkbox', 'radio', 'file', 'hidden'].includes(element.type);
  if (!isField) throw new Error(`config: ${what} is not a text field, it is <${tag}${tag === 'input' ? ` type=${element.type}` : ''}>: fill an input or a textarea`);
};
const mustTake = (element, text, what) => {
  if (text !== '' && element.value === '' && OF_A_KIND.includes(element.type)) {
    throw new Error(`config: ${what} is a field of type ${element.type} and does not take \`${text}\`: fields of type date take 2025-08-31, whatever they show`);
  }
};

// Clears and writes; the value goes in through the element's own setter, so that frameworks notice.
const write = (element, text) => {
  element.focus();
  const kind = element instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
  const setter = Object.getOwnPropertyDescriptor(kind.prototype, 'value').set;
  for (const value of element.value === '' ? [text] : ['', text]) {
    setter.call(element, value);
    element.dispatchEvent(new InputEvent('input', { bubbles: true, composed: true, data: value, inputType: 'insertText' }));
  }
  element.dispatchEvent(new Event('change', { bubbles: true }));
};

// Writes until the page keeps it: a field that has just appeared may put its old value back a frame later.
const keep = async (find, text, ms, what, secret = false) => {
  const end = performance.now() + ms;
  for (;;) {
    mustBeField(await until(find, Math.max(1, end - performance.now()), `nothing to be seen at ${what}`, 'absent'), what);
    await frames();
    const field = find();
    if (field) {
      write(field, text);
      if (!secret) mustTake(field, text, what);
    }
    await frames();
    if (find()?.value === text) return find();
    if (performance.now() > end) throw new Error(`time-out: ${what} does not keep what is written into it`);
  }
};

const press = (element, key) => {
  const event = (kind) => new KeyboardEvent(kind, { key, code: key, bubbles: true, cancelable: true, composed: true });
  const goesOn = element.dispatchEvent(event('keydown'));
  if (goesOn && key === 'Enter' && element.form) element.form.requestSubmit();
  element.dispatchEvent(event('keyup'));
};

// A filter by its label, and what stands around it.
const labelled = (label) => {
  const named = [...document.querySelectorAll('[aria-label]')]
    .filter((element) => squeeze(element.getAttribute('aria-label')) === squeeze(label));
  return named.find(isSeen) ?? byText(label).find(isSeen);
};

// What the page shows, in short: for the texts of errors.
const glimpse = () => {
  const heading = [...document.querySelectorAll('h1, h2, [role=heading]')].filter(isSeen)
    .map((element) => squeeze(element.textContent)).filter(Boolean).slice(0, 3).join(' / ');
  const text = squeeze(document.body?.innerText ?? '').slice(0, 160);
  return { title: squeeze(document.title), heading, text };
};
