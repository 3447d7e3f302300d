// Reads a filter back: { label, fill, shows, ms }. Gives what is to be seen, once it is what was wanted.
const { label, fill, shows, ms } = input;

const labelled = () => {
  const named = [...document.querySelectorAll('[aria-label]')]
    .filter((element) => squeeze(element.getAttribute('aria-label')) === squeeze(label));
  return named.find(isSeen) ?? byText(label).find(isSeen);
};

// the label itself, or what stands around it
const around = () => {
  const element = labelled();
  return [element?.textContent, element?.value, element?.parentElement?.textContent].map(squeeze).join(' | ');
};
const wanted = shows.length ? shows : fill.map(([, text]) => text);
const holds = () => {
  const fields = fill.map(([selector, text]) => [seen(selector), text]);
  if (!shows.length && fields.every(([field]) => field)) {
    return fields.every(([field, text]) => field.value === text) && fields.map(([field]) => field.value).join(' – ');
  }
  const text = around();
  return wanted.every((part) => text.includes(squeeze(part))) && squeeze(labelled()?.textContent || text);
};
try {
  return { applied: await until(holds, ms, '') };
} catch {
  return { applied: null, found: around().slice(0, 200) };
}
