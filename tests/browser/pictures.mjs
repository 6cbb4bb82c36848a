// Takes the pictures of the README from a running demo: the board, a thread, and the runtime's live page. It needs a running
// `mission-control-runtime demo` and what that prints (LIVE_URL is the link behind `Live`):
//
//   BASE_URL=http://… ADMIN_KEY=… LIVE_URL=http://… PICTURES=docs/img node tests/browser/pictures.mjs
//
// and what page.mjs needs besides. The pictures show the light theme and are 1200 pixels wide.

import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { chromium } from 'playwright-core';

const { ADMIN_KEY, LIVE_URL, PICTURES, CHROMIUM = '/usr/bin/chromium' } = process.env;
const BASE_URL = (process.env.BASE_URL ?? process.env.CONVEX_URL ?? '').replace(/\/$/, '');
for (const [name, value] of Object.entries({ BASE_URL, ADMIN_KEY, LIVE_URL, PICTURES })) {
  if (!value) { console.error(`${name} is not set`); process.exit(2); }
}
const BYTES_MAX = 150_000;

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage({ viewport: { width: 1200, height: 700 }, colorScheme: 'light' });
page.setDefaultTimeout(40_000);

async function picture(name) {
  const path = `${PICTURES}/${name}.png`;
  await page.screenshot({ path });
  const { size } = statSync(path);
  console.log(`${path}: ${size} bytes`);
  assert.ok(size <= BYTES_MAX, `${path} is larger than ${BYTES_MAX} bytes`);
}

await page.goto(`${BASE_URL}/`);
await page.fill('#key', ADMIN_KEY);
await page.press('#key', 'Enter');
await page.waitForSelector('#board');
await page.click('[data-task]:has-text("Tell our guests what to bring")');
await page.waitForSelector('#task[data-status=done]');
await page.waitForFunction(() => document.querySelector('#thread-scroll')?.textContent.includes('The one thing is mended'));
await picture('thread');

await page.goto(`${BASE_URL}/#/board`);
await page.waitForSelector('[data-task]');
await picture('board');

await page.goto(LIVE_URL);
await page.waitForFunction(() => /answered/i.test(document.body.textContent));
await page.waitForLoadState('networkidle');
await picture('runtime');

await browser.close();
