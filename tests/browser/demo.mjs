// The demo in a real browser: a visitor watches the team play and is answered. It needs a running
// `mission-control-runtime demo` and what that prints:
//
//   BASE_URL=http://… ADMIN_KEY=… node tests/browser/demo.mjs
//
// and what page.mjs needs besides. One line per check; the exit code is 0 only if all passed.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const { ADMIN_KEY, CHROMIUM = '/usr/bin/chromium', SCREENSHOTS } = process.env;
const BASE_URL = (process.env.BASE_URL ?? process.env.CONVEX_URL ?? '').replace(/\/$/, '');
const TITLE = 'Tell our guests what to bring';
const PATIENCE = 40_000;

let failed = 0;
async function check(name, run) {
  try {
    const note = await run();
    console.log(`ok    ${name}${note ? ` (${note})` : ''}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${String(error.message).split('\n').slice(0, 6).join(' | ')}`);
  }
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
page.setDefaultTimeout(PATIENCE);
const complaints = [];
page.on('console', message => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()); });
page.on('pageerror', error => complaints.push(String(error)));
const picture = name => SCREENSHOTS && page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
const thread = () => page.textContent('#thread-scroll');

await check('the team works by itself, as the page shows', async () => {
  const began = Date.now();
  await page.goto(`${BASE_URL}/`);
  await page.fill('#key', ADMIN_KEY);
  await page.press('#key', 'Enter');
  await page.waitForSelector('#board');
  await page.click(`[data-task]:has-text("${TITLE}")`);
  await page.waitForSelector('#task[data-status=in_progress]');
  await picture('demo-begins');
  await page.waitForSelector('#task[data-status=done]');
  await page.waitForFunction(() => document.querySelector('#thread-scroll')?.textContent.includes('The one thing is mended'));
  await picture('demo-done');
  const said = await thread();
  for (const words of ['@squad-lead', 'Noor gets this', 'Noor starts', 'found one thing']) assert.ok(said.includes(words), words);
  return `${((Date.now() - began) / 1000).toFixed(1)} s`;
});

await check('a document opens from the thread', async () => {
  await page.click('#thread-scroll a:has-text("Document") >> nth=0');
  await page.waitForFunction(() => document.body.textContent.includes('Changed since'));
  await picture('demo-document');
});

await check('the team answers a visitor', async () => {
  const began = Date.now();
  await page.goto(`${BASE_URL}/#/board`);
  await page.click('[data-task]:has-text("Remind guests on the evening before")');
  await page.fill('#message', '@engineer, how far are you?');
  await page.keyboard.press('Control+Enter');
  await page.waitForFunction(() => document.querySelector('#thread-scroll')?.textContent.includes('Say the word'));
  await picture('demo-answer');
  return `${((Date.now() - began) / 1000).toFixed(1)} s`;
});

await check('no errors in the console', () => assert.deepEqual(complaints, []));

await browser.close();
console.log(failed ? `${failed} failed` : 'all passed');
process.exit(failed ? 1 : 0);
