// Which page of a login is to be seen: { flow, fields, signed_in, ms }. Decided by fields and headings, never by the
// button's id: the same button is Next, Sign in and Yes.
const { flow, fields, signed_in: signedIn, ms } = input;

const heading = () => [...document.querySelectorAll('h1, h2, [role=heading], #loginHeader')].filter(isSeen)
  .map((element) => squeeze(element.textContent)).filter(Boolean).join(' / ');
const textOf = (selector) => { const element = seen(selector); return element && squeeze(element.textContent); };

const microsoft = () => {
  const words = heading().toLowerCase();
  const refused = textOf('#usernameError') || textOf('#passwordError') || textOf('[role=alert]');
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

const look = () => {
  if (document.readyState === 'loading') return null;
  const login = flow === 'form' ? form() : microsoft();
  if (login) return login;
  if (signedIn) return seen(signedIn) ? { state: 'in' } : null;
  return document.readyState === 'complete' ? { state: 'in' } : null;
};

// a page without a login may be one that is about to send us to it
const first = await until(look, ms, 'neither a login nor a page of a signed-in user').catch(() => null);
if (!first) return { state: 'unknown', url: location.href, ...glimpse() };
if (first.state === 'in' && !signedIn) {
  await pause(250);
  return { ...(look() ?? first), url: location.href };
}
return { ...first, url: location.href };
