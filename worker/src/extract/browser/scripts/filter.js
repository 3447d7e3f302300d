// Sets a filter once: { label, option, fill: [[selector, text]], submit, ms }.
// It is told by its label, never by its place: two filters may change places.
const { label, option, fill, submit, ms } = input;

const labelled = () => {
  const named = [...document.querySelectorAll('[aria-label]')]
    .filter((element) => squeeze(element.getAttribute('aria-label')) === squeeze(label));
  return named.find(isSeen) ?? byText(label).find(isSeen);
};
const fields = () => fill.map(([selector]) => seen(selector));

const filter = await until(labelled, ms, `no filter labelled ${label}`);
if (option) {
  // the option may be there already: a filter that somebody left open
  const chosen = byText(option).find(isSeen);
  if (!chosen) click(filter);
  click(await until(() => byText(option).find(isSeen), ms, `filter ${label} has no entry ${option}`));
} else if (!fields().every(Boolean)) {
  click(filter);
}
for (const [selector, text] of fill) {
  const field = await until(() => seen(selector), ms, `filter ${label} shows no field ${selector}`);
  write(field, text);
  if (!submit) {
    press(field, 'Enter');
    field.blur();
  }
}
if (submit) {
  const button = await until(() => byText(submit).find((element) => isSeen(element) && isEnabled(element)), ms,
    `filter ${label} has no button ${submit}`);
  click(button);
}
return null;
