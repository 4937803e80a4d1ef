// A million rows in the console's grid, as a person meets them: measured in a page, and printed as JSON.
//   node grid.mjs URL USER PASSWORD
import { launch, openPage, write } from '../tests/browser/browser.mjs';

const [url, user, password] = process.argv.slice(2);
const ROWS = 1_000_000;
const SQL = `SELECT n AS id, n * 2 AS double, 'row ' || n AS word FROM generate_series(1, ${ROWS}) AS s(n) ORDER BY n`;
const SCROLL_MS = 3_000;
/** Pixels of each frame: thirty rows, faster than somebody reads. */
const STEP = 840;

const browser = await launch();
const { page } = await openPage(browser);
await page.goto(url);
await page.getByLabel('User').fill(user);
await page.getByLabel('Password', { exact: true }).fill(password);
await page.getByRole('button', { name: 'Sign in' }).click();
await page.getByRole('navigation', { name: 'Rooms' }).waitFor();
await page.goto(`${url}/query`);
await write(page, SQL);

/** Milliseconds from an act in the page until a cell says something and was painted. */
const until = (act, words) =>
  page.evaluate(
    ([kind, text]) =>
      new Promise((resolve) => {
        const grid = document.querySelector('[role=grid][aria-label=Result]');
        const target = kind === 'run' ? document.querySelector('.cm-content') : grid;
        target.focus();
        const begun = performance.now();
        const key = kind === 'run' ? 'Enter' : 'End';
        target.dispatchEvent(new KeyboardEvent('keydown', { key, code: key, ctrlKey: true, bubbles: true, cancelable: true }));
        const look = () => {
          const cells = document.querySelectorAll('[role=gridcell]');
          if (![...cells].some((cell) => cell.textContent === text)) return requestAnimationFrame(look);
          // The frame after it is the one in which it is on the screen.
          return requestAnimationFrame(() => resolve(performance.now() - begun));
        };
        requestAnimationFrame(look);
      }),
    [act, words],
  );

const first = await until('run', 'row 1');
const begun = Date.now();
await page.locator(`[role=grid][aria-label=Result][aria-rowcount="${ROWS + 1}"]`).waitFor({ timeout: 120_000 });
const all = first + Date.now() - begun;
await page.getByRole('grid', { name: 'Result' }).focus();
await page.keyboard.press('ArrowDown');
const end = await until('jump', `row ${ROWS}`);
const frames = await page.evaluate(
  ([length, step]) =>
    new Promise((resolve) => {
      const grid = document.querySelector('[role=grid][aria-label=Result]');
      const scroller = [grid, ...grid.querySelectorAll('*')].find((one) => one.scrollHeight > one.clientHeight + 1000 && getComputedStyle(one).overflowY !== 'visible') ?? grid.parentElement;
      scroller.scrollTop = 0;
      const begun = performance.now();
      const times = [];
      let empty = 0;
      let last = null;
      const frame = (now) => {
        if (last !== null) times.push(now - last);
        last = now;
        if (document.querySelectorAll('[role=gridcell]').length === 0) empty += 1;
        if (performance.now() - begun > length) return resolve({ times, empty, moved: scroller.scrollTop });
        scroller.scrollTop += step;
        return requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    }),
  [SCROLL_MS, STEP],
);
await browser.close();
console.log(JSON.stringify({ first, all, end, ...frames }));
