// The page of the worker pool in a real browser. It needs a running `mission-control-runtime local` and what that prints, and what
// page.mjs needs besides. One line per check; the exit code is 0 only if all passed.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const { ADMIN_KEY, WORKER_AUTH_TOKEN, CHROMIUM = '/usr/bin/chromium', SCREENSHOTS } = process.env;
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

/** A call by somebody else: an operator, or a worker. */
async function call(kind, name, args, authorization = `Convex ${ADMIN_KEY}`) {
  const answer = await fetch(`${BASE_URL}/api/${kind}`, {
    method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: authorization },
    body: JSON.stringify({ path: `agentFactory:${name}`, args, format: 'json' }),
  });
  const body = await answer.json();
  assert.equal(body.status, 'success', `${name}: ${body.errorMessage ?? answer.status}`);
  return body.value;
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
page.setDefaultTimeout(30_000);
const complaints = []; // errors of the browser's console; a refused sign-in is reported there as 401
page.on('console', message => { if (message.type() === 'error' && !message.text().includes('401')) complaints.push(message.text()); });
page.on('pageerror', error => complaints.push(error.stack));
page.on('dialog', dialog => dialog.accept());
const picture = name => SCREENSHOTS && page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true });

const MARKUP = '<img src=x onerror="window.hacked=1"> hello';
const user = { consumerUserId: 'u1', agentKey: 'support' };
await call('mutation', 'configureAgent', { agentKey: 'support', version: '1', secretsRef: [], enabled: true });
await call('mutation', 'bindUserAgent', user);
await call('mutation', 'enqueue', { conversationId: 'user-agent:support:u1', agentKey: 'support', provider: 'system_push', providerUserId: 'u1', messageText: MARKUP, maxAttempts: 1 });
await call('mutation', 'createPushJobCustomForAgent', { ...user, companyId: 'c', title: 'Morning', text: 'Good morning', periodicity: 'daily', timezone: 'UTC', schedule: { kind: 'daily', time: '09:00' } });

await check('a visitor sees nothing, and the admin key opens the page', async () => {
  const answer = await page.goto(`${BASE_URL}/pool`);
  assert.doesNotMatch(answer.headers()['content-security-policy'] ?? 'unsafe', /unsafe/);
  await page.waitForSelector('#key');
  assert.equal(await page.locator('section').count(), 0);
  await page.fill('#key', 'not-the-key');
  await page.press('#key', 'Enter');
  await page.waitForSelector('[role=alert]');
  await page.fill('#key', ADMIN_KEY);
  await page.press('#key', 'Enter');
  await page.waitForSelector('#queue:has-text("1queued")');
});

await check('a dead letter appears without a reload, shows its text as text, and is tried again', async () => {
  const token = `Bearer ${WORKER_AUTH_TOKEN}`;
  const job = await call('mutation', 'workerClaim', { workerId: 'w1' }, token);
  await call('mutation', 'workerFail', { workerId: 'w1', messageId: job.messageId, leaseId: job.leaseId, errorMessage: 'the model <b>fell</b>' }, token);
  await page.waitForSelector('#dead .entry:has-text("onerror")');
  await page.waitForSelector('#workers .entry:has-text("w1")');
  assert.match(await page.textContent('#dead .reason'), /<b>fell<\/b>/);
  await picture('pool');
  await page.click('#dead button:has-text("Retry")');
  await page.waitForSelector('#dead:has-text("None.")');
  await page.waitForSelector('#queue:has-text("1queued")');
  assert.equal(await page.evaluate(() => window.hacked), undefined);
});

await check('a conversation opens with its messages, and a message is sent', async () => {
  await page.click('#conversations button:has-text("Open")');
  await page.waitForSelector('#conversations .talk:has-text("onerror")');
  await page.fill('#text', 'one more');
  await page.click('#conversations button:has-text("Send")');
  await page.waitForSelector('#conversations .talk:has-text("one more")');
  await page.waitForSelector('#queue:has-text("2queued")');
});

await check('a conversation that cannot be read says so, and the rest of the page goes on', async () => {
  const isTalk = request => request.postData()?.includes('getConversationViewForUserAgent');
  const refuse = route => isTalk(route.request())
    ? route.fulfill({ json: { status: 'error', errorMessage: 'Uncaught Error: the history is damaged' } }) : route.continue();
  await page.route('**/api/query', refuse);
  await call('mutation', 'enqueue', { conversationId: 'user-agent:support:u1', agentKey: 'support', provider: 'system_push', providerUserId: 'u1', messageText: 'behind it' });
  await page.waitForSelector('#conversations [role=alert]:has-text("the history is damaged")');
  await page.waitForSelector('#queue:has-text("3queued")');
  await page.unroute('**/api/query', refuse);
  await page.click('#conversations button:has-text("Close")');
  await page.click('#conversations button:has-text("Open")');
  await page.waitForSelector('#conversations .talk:has-text("behind it")');
});

await check('pairing and scheduled messages: each control has an effect or a sentence', async () => {
  await page.fill('#user', 'u2');
  await page.click('#pairing button:has-text("Create a code")');
  await page.waitForSelector('[role=alert]:has-text("has no bot")');
  await page.click('#pushes button:has-text("Disable")');
  await page.waitForSelector('#pushes:has-text("no next run")');
  await page.click('#pushes button:has-text("Run now")');
  await page.waitForSelector('#queue:has-text("4queued")');
  await page.click('#pairing button:has-text("Revoke")');
  await page.waitForSelector('#pairing:has-text("No user is paired.")');
});

await check('nothing is cut off at 400 pixels', async () => {
  await page.setViewportSize({ width: 400, height: 900 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 400, `${width} pixels`);
  await picture('pool-400');
});

await check('no errors in the console', () => assert.deepEqual(complaints, []));

await browser.close();
console.log(failed ? `${failed} failed` : 'all passed');
process.exit(failed ? 1 : 0);
