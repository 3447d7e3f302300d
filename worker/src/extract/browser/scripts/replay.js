// Asks the same again with another body: { url, headers, body, ms }. For answers that come in parts.
const stop = new AbortController();
const timer = setTimeout(() => stop.abort(), input.ms);
try {
  const answer = await fetch(input.url, { method: 'POST', headers: input.headers, body: input.body, credentials: 'include', redirect: 'error', signal: stop.signal });
  return { status: answer.status, body: await answer.text() };
} finally {
  clearTimeout(timer);
}
