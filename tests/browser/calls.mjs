// What a page asked of the server and what it showed, for the words of a failure.

const CALLS_KEPT = 15;
const TEXT_KEPT = 1500;
const ASKED_MS_MAX = 5000;

/** Collects a page's calls of the API. The same call with the same answer, again and again, is one. */
export function watchCalls(page) {
  const begun = Date.now();
  const waiting = new Map();
  const answered = new Map();
  const ended = (request, status) => {
    const call = waiting.get(request);
    if (!call) return;
    waiting.delete(request);
    const line = `${status} ${call}`;
    const times = (answered.get(line)?.times ?? 0) + 1;
    // At the end, so that the last ones are those that came last.
    answered.delete(line);
    answered.set(line, { times, at: Date.now() });
  };
  page.on('request', (request) => {
    const { pathname, search } = new URL(request.url());
    if (pathname.startsWith('/api/')) waiting.set(request, `${request.method()} ${pathname}${search}`);
  });
  page.on('response', (response) => ended(response.request(), response.status()));
  page.on('requestfailed', (request) => ended(request, request.failure()?.errorText ?? 'failed'));
  return {
    lines: () => [
      ...[...answered].slice(-CALLS_KEPT).map(([line, { times, at }]) => `${line} (${times === 1 ? '' : `${times} times, last `}after ${((at - begun) / 1000).toFixed(1)} s)`),
      ...[...waiting.values()].map((call) => `no answer yet: ${call}`),
    ],
  };
}

/** Adds to an error where the page was, what it showed, and its last calls. */
export async function withWords(error, { page, calls }) {
  const late = new Promise((resolve) => {
    setTimeout(resolve, ASKED_MS_MAX, 'the page does not answer').unref();
  });
  const text = await Promise.race([page.evaluate((length) => document.body.innerText.slice(0, length), TEXT_KEPT), late]).catch((gone) => `the page is gone: ${gone.message}`);
  error.message += `\n--- at ${page.url()}\n--- shown:\n${text}\n--- calls:\n${calls.lines().join('\n')}\n---`;
  // Made when the error was, so that it has the old words.
  error.stack = `${error.name}: ${error.message}\n${(error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)).join('\n')}`;
}
