// Reads a filter back: { label, fill, shows, shown_in, ms }. Gives what is to be seen, once it is what was wanted.
const { label, fill, shows, shown_in: shownIn, ms } = input;

const texts = () => {
  const element = shownIn ? seen(shownIn) : labelled(label);
  return [element?.textContent, element?.value, shownIn ? '' : element?.parentElement?.textContent]
    .map(squeeze).filter(Boolean);
};
const wanted = (shows.length ? shows : fill.map(([, text]) => text)).map(squeeze);
const holds = () => {
  const fields = fill.map(([selector, text]) => [seen(selector), text]);
  if (!shows.length && !shownIn && fields.every(([field]) => field)) {
    return fields.every(([field, text]) => field.value === text) && fields.map(([field]) => field.value).join(' – ');
  }
  return texts().find((text) => wanted.every((part) => text.includes(part)));
};
try {
  return { applied: (await until(holds, ms, '')).slice(0, 200) };
} catch {
  return { applied: null, found: texts().join(' | ').slice(0, 200) };
}
