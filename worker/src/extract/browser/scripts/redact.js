// Takes secrets out of what is to be seen before a picture is taken: { secrets }. Gives the page as HTML.
const hide = (text) => input.secrets.reduce((out, secret) => out.split(secret).join('***'), text);
const walk = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
for (let node = walk.nextNode(); node; node = walk.nextNode()) {
  const clean = hide(node.data);
  if (clean !== node.data) node.data = clean;
}
for (const element of document.querySelectorAll('*')) {
  for (const { name, value } of [...element.attributes]) {
    const clean = hide(value);
    if (clean !== value) element.setAttribute(name, clean);
  }
  if (typeof element.value === 'string' && (hide(element.value) !== element.value || element.type === 'password')) element.value = '***';
}
return { url: hide(location.href), html: document.documentElement.outerHTML.slice(0, 4000000) };
