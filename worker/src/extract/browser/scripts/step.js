// One step: { act, selector, selectors, text, key, origins, ms }; with `origins`, the text is a secret.
const { act, selector, selectors, text, key, origins, ms } = input;
const find = () => until(() => seen(selector), ms, `nothing to be seen at ${selector}`);
switch (act) {
  case 'click': {
    const element = await find();
    await until(() => isEnabled(element), ms, `${selector} stays disabled`);
    click(element);
    return null;
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
    await keep(() => seen(selector), text, ms, selector);
    return null;
  case 'press':
    press(selector ? await find() : document.activeElement ?? document.body, key);
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
    const options = [...(element.options ?? [])];
    const option = await until(() => [...element.options].find((one) => squeeze(one.textContent) === squeeze(text) || one.value === text),
      ms, `${selector} has no option ${text}: there are ${options.map((one) => squeeze(one.textContent)).join(', ')}`);
    element.value = option.value;
    element.dispatchEvent(new Event('input', { bubbles: true }));
    element.dispatchEvent(new Event('change', { bubbles: true }));
    return null;
  }
  // the first number in the text of an element, its digits grouped in whatever way
  case 'number': {
    const element = await until(() => all(selector)[0], ms, `nothing at ${selector}, which should say how many rows there are`);
    const found = /\d[\d.,\s\u00a0\u202f']*/.exec(element.textContent);
    if (!found) throw new Error(`incomplete: ${selector} says no number of rows: ${squeeze(element.textContent).slice(0, 80)}`);
    return Number(found[0].replace(/\D/g, ''));
  }
  case 'glimpse':
    return glimpse();
}
