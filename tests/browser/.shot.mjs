import { chromium } from 'playwright-core';
const base = process.env.BASE ?? 'http://127.0.0.1:7498';
const jobs = JSON.parse(process.env.JOBS);
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
for (const job of jobs) {
  const context = await browser.newContext({ viewport: { width: job.w ?? 1440, height: job.h ?? 900 }, colorScheme: job.dark ? 'dark' : 'light' });
  const page = await context.newPage();
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) console.log(job.name, m.type(), m.text().slice(0, 300)); });
  page.on('pageerror', (e) => console.log(job.name, 'PAGEERROR', e.message.slice(0, 500)));
  await page.goto(base + job.path);
  await page.waitForTimeout(job.wait ?? 1500);
  for (const step of job.do ?? []) {
    const [kind, a, b] = step;
    try {
    if (kind === 'click') await page.click(a, { timeout: 5000 });
    else if (kind === 'type') await page.keyboard.type(a);
    else if (kind === 'key') await page.keyboard.press(a);
    else if (kind === 'fill') await page.fill(a, b);
    else if (kind === 'wait') await page.waitForTimeout(a);
    else if (kind === 'hover') await page.hover(a);
    else if (kind === 'upload') await page.setInputFiles(a, b);
    else if (kind === 'goto') await page.goto(base + a);
    else if (kind === 'eval') console.log(job.name, JSON.stringify(await page.evaluate(a)));
    } catch (e) { console.log(job.name, step, e.message.slice(0, 300)); }
  }
  await page.screenshot({ path: `/tmp/shots/${job.name}.png` });
  await context.close();
}
await browser.close();
