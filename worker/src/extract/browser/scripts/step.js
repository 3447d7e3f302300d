// One step: { act, selector, selectors, text, key, origins, ms }; with `origins`, the text is a secret.
const { act, selector, selectors, label, text, key, origins, ms } = input;
const find = () => until(() => seen(selector), ms, `nothing to be seen at ${selector}`, 'absent');

// What covers an element is given a moment to go.
const COVERED = Math.min(2000, ms / 2);
const middle = (element) => {
  const [box = element.getBoundingClientRect()] = [...element.getClientRects()]
    .sort((one, other) => other.width * other.height - one.width * one.height);
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
};
const hit = ({ x, y }) => {
  let found = document.elementFromPoint(x, y);
  while (found?.shadowRoot?.elementFromPoint(x, y) && found.shadowRoot.elementFromPoint(x, y) !== found) found = found.shadowRoot.elementFromPoint(x, y);
  return found;
};
const holds = (outer, inner) => {
  for (let at = inner; at; at = at.parentNode ?? at.host) if (at === outer) return true;
  return false;
};
// the element itself, or something in it; its label, which passes the click on; or what is around one that lets events through
const meets = (element, found) => holds(element, found) || [...(element.labels ?? [])].some((label) => holds(label, found))
  || getComputedStyle(element).pointerEvents === 'none' && holds(found, element);

// The point where the mouse meets an element, once it stays where it is; none where a script has to act.
const point = async (wantsEnabled) => {
  const end = performance.now() + ms;
  const left = () => Math.max(1, end - performance.now());
  let since = null;
  for (;;) {
    const element = await until(() => seen(selector), left(), `nothing to be seen at ${selector}`, 'absent');
    if (wantsEnabled) await until(() => !element.isConnected || isEnabled(element), left(), `${selector} stays disabled`);
    globalThis.nstoreTarget = element;
    if (element.closest('select')) return {};
    element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    const before = middle(element);
    await frames();
    const now = middle(element);
    const stays = element.isConnected && Math.abs(before.x - now.x) < 1 && Math.abs(before.y - now.y) < 1;
    if (stays && meets(element, hit(now))) return now;
    since ??= performance.now();
    if (performance.now() - since > COVERED || performance.now() > end) {
      if (element.isConnected) return {};
      if (performance.now() > end) throw new Error(`time-out: ${selector} is drawn again and again`);
    }
    await pause(50);
  }
};
switch (act) {
  case 'point':
    return point(input.enabled);
  // whether the page has the frame, once it has that or what is looked for in it
  case 'has_frame': {
    const own = () => label ? labelled(label) : selectors.some(seen);
    const what = label ? `a filter labelled ${label}` : selectors.join(' or ');
    return await until(() => seen(selector) ? 'frame' : own() ? 'page' : null, ms, `neither the frame ${selector} nor ${what} is to be seen`) === 'frame';
  }
  case 'is_hit':
    return all(selector).includes(document.elementFromPoint(input.x, input.y));
  case 'by_script':
    (input.clicks ? click : over)(globalThis.nstoreTarget);
    return null;
  case 'focus': {
    const element = selector ? await find() : document.activeElement ?? document.body;
    globalThis.nstoreTarget = element;
    element.focus();
    return element === document.body || element.matches(':focus');
  }
  // one after the other, up to the one that leads to another document; gives how many
  case 'clicks': {
    let away = false;
    const leaving = new Promise((done) => {
      globalThis.navigation?.addEventListener('navigate', ({ destination }) => {
        if (!destination.sameDocument) { away = true; done(); }
      });
    });
    for (const [at, one] of selectors.entries()) {
      const ready = () => { const element = seen(one); return element && isEnabled(element) ? element : null; };
      const element = await Promise.race([until(ready, ms, `nothing to be clicked at ${one}`), leaving]);
      if (away) return at;
      click(element);
      if (away) return at + 1;
    }
    return selectors.length;
  }
  case 'fill':
    if (origins) mustBeOwn(origins);
    await keep(() => seen(selector), text, ms, selector, Boolean(origins));
    return null;
  case 'press':
    press(globalThis.nstoreTarget, key);
    return null;
  case 'wait_for':
    await find();
    return null;
  case 'loaded':
    await until(() => document.readyState === 'complete', ms, 'the page goes on loading');
    return null;
  case 'wait_gone':
    await until(() => !seen(selector), ms, `${selector} is still to be seen`);
    return null;
  case 'select': {
    const element = await find();
    if (element.tagName !== 'SELECT') {
      throw new Error(`config: ${selector} is not a select element, it is <${element.tagName.toLowerCase()}>: click it, and then its option`);
    }
    const options = [...element.options];
    const option = await until(() => [...element.options].find((one) => squeeze(one.textContent) === squeeze(text) || one.value === text),
      ms, `${selector} has no option ${text}: there are ${options.map((one) => squeeze(one.textContent)).join(', ')}`, 'absent');
    element.value = option.value;
    element.dispatchEvent(new Event('input', { bubbles: true }));
    element.dispatchEvent(new Event('change', { bubbles: true }));
    return null;
  }
  case 'glimpse':
    return glimpse();
  default:
    throw new Error(`no step is called ${act}`);
}
