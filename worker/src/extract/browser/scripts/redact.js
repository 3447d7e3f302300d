// Takes secrets out of what is to be seen before a picture is taken: { secrets, clean }. Gives the page as HTML.
// `clean` names the frame that has been through this script; no other one may be in the picture.
const { secrets, clean } = input;
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const forms = secrets.flatMap((secret) => [secret, encodeURIComponent(secret), btoa(unescape(encodeURIComponent(secret)))]);
const any = forms.length ? new RegExp(forms.map(escaped).join('|'), 'gi') : null;
const hide = (text) => any ? text.replace(any, '***') : text;
for (const element of document.querySelectorAll('script, noscript, input[type=hidden]')) element.remove();
for (const frame of document.querySelectorAll('iframe, frame, embed, object')) {
  if (!clean || !all(clean).includes(frame)) frame.style.visibility = 'hidden';
}
const walk = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
for (let node = walk.nextNode(); node; node = walk.nextNode()) {
  const text = hide(node.data);
  if (text !== node.data) node.data = text;
}
for (const element of document.querySelectorAll('*')) {
  for (const { name, value } of [...element.attributes]) {
    const text = hide(value);
    if (text !== value) element.setAttribute(name, text);
  }
  if (typeof element.value === 'string' && (hide(element.value) !== element.value || element.type === 'password')) element.value = '***';
}
return { url: hide(location.origin + location.pathname), html: document.documentElement.outerHTML.slice(0, 4000000) };
