// Which page of a login is to be seen: { flow, fields, signed_in, stays, ms }. Decided by fields and headings, never by the
// button's id: the same button is Next, Sign in and Yes.
const { flow, fields, signed_in: signedIn, stays, ms } = input;

const heading = () => [...document.querySelectorAll('h1, h2, [role=heading], #loginHeader')].filter(isSeen)
  .map((element) => squeeze(element.textContent)).filter(Boolean).join(' / ');
const textOf = (selector) => { const element = seen(selector); return element && squeeze(element.textContent); };

const microsoft = () => {
  const words = heading().toLowerCase();
  const refused = textOf('#usernameError, #i0116Error') || textOf('#passwordError, #i0118Error');
  if (refused) return { state: 'refused', text: refused };
  if (/approve sign.?in|enter code|verify your identity|two-step|authenticator/.test(words)) return { state: 'mfa', text: heading() };
  if (/more information required|keep your account secure|action required/.test(words)) return { state: 'more', text: heading() };
  if (/stay signed in/.test(words) || seen('#KmsiCheckboxField')) return { state: 'stay' };
  if (seen('#i0118, input[name=passwd][type=password]')) return { state: 'password' };
  if (seen('#i0116, input[name=loginfmt]')) return { state: 'account' };
  if (/pick an account/.test(words)) return { state: 'picker' };
  return null;
};

const form = () => {
  const refused = fields.error && textOf(fields.error);
  if (refused) return { state: 'refused', text: refused };
  if (seen(fields.password)) return { state: 'form' };
  return null;
};

const page = () => {
  const login = flow === 'form' ? form() : microsoft();
  if (login) return login;
  if (signedIn) return seen(signedIn) ? { state: 'in' } : null;
  return squeeze(document.body?.innerText) ? { state: 'in' } : null;
};

// Told only of a page that has its styles and stays as it is for a moment: while it is drawn, hidden fields are to be
// seen, and a page without a login may be about to send us to one.
const end = performance.now() + ms;
let known = null;
while (performance.now() < end) {
  const now = document.readyState === 'complete' ? page() : null;
  if (now && known?.state === now.state && performance.now() - known.since >= stays) return { ...now, url: location.href };
  if (now?.state !== known?.state) known = now && { state: now.state, since: performance.now() };
  await pause(50);
}
return { state: 'unknown', url: location.href, ...glimpse() };
