// Takes secrets out of what is to be seen before a picture is taken: { secrets, words, clean }. Gives the page as HTML.
// `words` are taken out as whole words, the rule of `config::redact`: names and paths keep them.
// `clean` names the frame that has been through this script; no other one may be in the picture.
const { secrets, words = [], clean } = input;
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const inHtml = (text) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const forms = secrets.flatMap((secret) =>
  [secret, inHtml(secret), encodeURIComponent(secret), btoa(unescape(encodeURIComponent(secret)))]);
// the longest first: a part of a value must not spoil the whole
const longest = [...new Set(forms)].sort((one, other) => other.length - one.length);
const any = longest.length ? new RegExp(longest.map(escaped).join('|'), 'gi') : null;
const whole = words.length
  ? new RegExp(`(?<![\\w/]|\\w[.-])(?:${words.map(escaped).join('|')})(?![\\w/]|[.-]\\w)`, 'g') : null;
const hide = (text) => [any, whole].reduce((text, found) => found ? text.replace(found, '***') : text, text);
// a change of these makes the page load something
const LOADING = ['src', 'srcdoc', 'srcset', 'href', 'action', 'formaction', 'data', 'poster'];
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
    if (text !== value && !LOADING.includes(name)) element.setAttribute(name, text);
  }
  if (typeof element.value === 'string' && (hide(element.value) !== element.value || element.type === 'password')) element.value = '***';
}
// what follows a `?` or `#` may hold tokens
const queries = new RegExp(`(\\s(?:[\\w-]+:)?(?:${LOADING.join('|')})="[^"?#]*[?#])[^"]+`, 'g');
const html = hide(document.documentElement.outerHTML.replace(queries, '$1…'));
return { url: hide(location.origin + location.pathname), html: html.slice(0, 4000000) };
