// The page of all accounts in a real browser. It needs a running `mission-control-runtime local` and what that prints:
//
//   BASE_URL=http://… ADMIN_KEY=… node tests/browser/fleet.mjs
//
// and what page.mjs needs besides. One line per check; the exit code is 0 only if all passed.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const { ADMIN_KEY, CHROMIUM = '/usr/bin/chromium', SCREENSHOTS } = process.env;
const BASE_URL = (process.env.BASE_URL ?? process.env.CONVEX_URL ?? '').replace(/\/$/, '');

let failed = 0;
async function check(name, run) {
  try {
    await run();
    console.log(`ok    ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${String(error.message).split('\n').slice(0, 6).join(' | ')}`);
  }
}

/** A change by somebody else with the admin key. */
async function mutation(path, args) {
  const answer = await fetch(`${BASE_URL}/api/mutation`, {
    method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: `Convex ${ADMIN_KEY}` },
    body: JSON.stringify({ path, args, format: 'json' }),
  });
  const body = await answer.json();
  assert.equal(body.status, 'success', `${path}: ${body.errorMessage ?? answer.status}`);
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
page.setDefaultTimeout(30_000);
const complaints = []; // errors of the browser's console; a refused sign-in is reported there as 401
page.on('console', message => { if (message.type() === 'error' && !message.text().includes('401')) complaints.push(message.text()); });
page.on('pageerror', error => complaints.push(error.stack));
const picture = name => SCREENSHOTS && page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
const rows = () => page.$$eval('tbody tr', all => all.map(row => row.textContent));

await check('the policy is strict, and a visitor sees no account', async () => {
  const answer = await page.goto(`${BASE_URL}/fleet`);
  const policy = answer.headers()['content-security-policy'] ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  await page.waitForSelector('#key');
  assert.deepEqual(await rows(), []);
});

await check('a wrong admin key is refused with a sentence', async () => {
  await page.fill('#key', 'not-the-key');
  await page.press('#key', 'Enter');
  await page.waitForSelector('[role=alert]');
});

await check('the admin key shows the accounts with their states', async () => {
  await page.fill('#key', ADMIN_KEY);
  await page.press('#key', 'Enter');
  await page.waitForSelector('tbody tr');
  const [first, ...more] = await rows();
  assert.deepEqual(more, []);
  assert.match(first, /offline/);
  await picture('fleet');
});

await check('a new account appears without a reload', async () => {
  await page.evaluate(() => { window.sameDocument = true; });
  await mutation('accounts:create', { name: 'Acme', slug: 'acme' });
  await page.waitForSelector('tbody tr:has-text("acme")');
  assert.equal((await rows()).length, 2);
  assert.equal(await page.evaluate(() => window.sameDocument), true);
});

await check('a switch is turned on', async () => {
  await page.click('button:has-text("fleet_orchestration_enabled: off")');
  await page.waitForSelector('button:has-text("fleet_orchestration_enabled: on")');
});

await check('no errors in the console', () => assert.deepEqual(complaints, []));

await browser.close();
console.log(failed ? `${failed} failed` : 'all passed');
process.exit(failed ? 1 : 0);
