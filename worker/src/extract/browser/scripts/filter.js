// Sets a filter once: { label, option, fill: [[selector, text]], enter, submit, ms }.
// It is told by its label, never by its place: two filters may change places.
const { label, option, fill, enter, submit, ms } = input;

const filter = await until(() => labelled(label), ms, `no filter labelled ${label}`, 'absent');
if (option) {
  // the option may be there already: a filter that somebody left open
  const chosen = byText(option).find(isSeen);
  if (!chosen) click(filter);
  click(await until(() => byText(option).find(isSeen), ms, `filter ${label} has no entry ${option}`, 'absent'));
} else if (!fill.every(([selector]) => seen(selector))) {
  click(filter);
}
for (const [selector, text] of fill) {
  const field = await keep(() => seen(selector), text, ms, `${selector} of filter ${label}`);
  if (enter) {
    press(field, 'Enter');
    await frames();
  }
}
if (submit) {
  const button = () => byText(submit).find((element) => isSeen(element) && isEnabled(element));
  click(await until(button, ms, `filter ${label} has no button ${submit}`, 'absent'));
}
return null;
