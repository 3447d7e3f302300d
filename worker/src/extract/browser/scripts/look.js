// What the page says about its rows before they are read: { total, empty, grid, ms }. Needs cell.js.
// Gives the text that holds the number of rows, and the text of the element that says that there are none, if it is to be seen.
const { total, empty, grid, ms } = input;
const textOf = (node) => squeeze(node.nodeType === Node.ELEMENT_NODE && isSeen(node) ? shownText(node) : node.textContent);
const none = () => (empty ? seen(empty) : undefined);
const holder = () => seen(total) ?? all(total)[0];
const said = () => {
  const element = holder();
  const text = element ? textOf(element) : '';
  return /\d/.test(text) ? text : null;
};
if (total) {
  await until(() => none() || said(), ms, '').catch(() => {
    const element = holder();
    if (!element) throw new Error(`time-out: nothing at ${total}, which should say how many rows there are`);
    throw new Error(`config: ${total} does not say a number of rows: \`${textOf(element).slice(0, 80)}\``);
  });
}
const notice = none();
if (notice && grid) {
  const root = seen(grid);
  const row = root && [...root.querySelectorAll('tr, [role=row]')].find((one) => {
    const cells = [...one.querySelectorAll('td, [role=gridcell], [role=cell]')].filter((cell) => shownText(cell).trim());
    return cells.length > 1 && isSeen(one) && !one.contains(notice) && !notice.contains(one);
  });
  if (row) throw new Error(`incomplete: the page shows \`${textOf(notice).slice(0, 80)}\` at ${empty}, and rows in ${grid} as well`);
}
return { total: total ? said() : null, empty: notice ? textOf(notice).slice(0, 200) : null };
