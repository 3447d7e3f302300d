// Reads a filter back: { label, fill, shows, shown_in, ms }. Gives what is to be seen, once it is what was wanted.
// What stands in the fields proves nothing: we wrote it.
const { label, fill, shows, shown_in: shownIn, ms } = input;

const fields = () => fill.map(([selector]) => seen(selector)).filter(Boolean);
const around = (element) => {
  if (!element) return '';
  const copy = element.cloneNode(true);
  for (const input of copy.querySelectorAll('input, textarea, select')) input.remove();
  return squeeze(copy.textContent);
};
const texts = () => {
  const element = shownIn ? seen(shownIn) : labelled(label);
  const own = element && !fields().includes(element) ? element.value : '';
  return [around(element), own, shownIn ? '' : around(element?.parentElement)].map(squeeze).filter(Boolean);
};
// each after the one before, and none as a part of a longer number
const digit = (character) => character !== undefined && /\d/.test(character);
const holds = (text, wanted) => {
  let from = 0;
  for (const part of wanted) {
    let at = text.indexOf(part, from);
    while (at >= 0 && (digit(part[0]) && digit(text[at - 1]) || digit(part.at(-1)) && digit(text[at + part.length]))) at = text.indexOf(part, at + 1);
    if (at < 0) return false;
    from = at + part.length;
  }
  return true;
};
const wanted = (shows.length ? shows : fill.map(([, text]) => text)).map(squeeze);
const found = await until(() => texts().find((text) => holds(text, wanted)), ms, '').catch(() => null);
return found ? { applied: found.slice(0, 200) } : { applied: null, found: texts().join(' | ').slice(0, 200) };
