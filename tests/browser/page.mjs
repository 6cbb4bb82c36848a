// The page in a real browser. It needs a running `mission-control-runtime local` and what that prints:
//
//   BASE_URL=http://… ADMIN_KEY=… ACCOUNT_ID=… SERVICE_TOKEN=… node tests/browser/page.mjs
//
// and the package `playwright-core` with a Chromium (CHROMIUM=/path, else /usr/bin/chromium). SCREENSHOTS=/folder keeps
// pictures. One line per check; the last line counts; the exit code is 0 only if all passed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const { ADMIN_KEY, ACCOUNT_ID, SERVICE_TOKEN, CHROMIUM = '/usr/bin/chromium', SCREENSHOTS } = process.env;
const BASE_URL = (process.env.BASE_URL ?? process.env.CONVEX_URL ?? '').replace(/\/$/, '');
for (const [name, value] of Object.entries({ BASE_URL, ADMIN_KEY, ACCOUNT_ID, SERVICE_TOKEN })) {
  if (!value) { console.error(`${name} is not set; \`mission-control-runtime local\` prints it`); process.exit(2); }
}

const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const PHONE = { width: 390, height: 844 };
const WIDE = { width: 1440, height: 900 };
// For changes of others. Without the stream they would never be shown, so the limit need not be short.
const PATIENCE = 20_000;
const sleep = ms => new Promise(done => setTimeout(done, ms));

let passed = 0;
let failed = 0;
async function check(name, run) {
  try {
    const note = await run();
    passed++;
    console.log(`ok    ${name}${note ? ` (${note})` : ''}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${String(error.message).split('\n').slice(0, 6).join(' | ')}`);
  }
}

/** Another client: the runtime's side of the service functions. */
async function action(name, args) {
  const answer = await fetch(`${BASE_URL}/api/action`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ path: `service/actions:${name}`, args: { accountId: ACCOUNT_ID, serviceToken: SERVICE_TOKEN, ...args }, format: 'json' }),
  });
  const body = await answer.json();
  assert.equal(body.status, 'success', `${name}: ${body.errorMessage ?? answer.status}`);
  return body.value;
}

/** A task made by somebody else with the admin key. */
async function create(title) {
  const answer = await fetch(`${BASE_URL}/api/mutation`, {
    method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: `Convex ${ADMIN_KEY}` },
    body: JSON.stringify({ path: 'tasks:create', args: { accountId: ACCOUNT_ID, title }, format: 'json' }),
  });
  assert.equal((await answer.json()).status, 'success');
}

/** A browser whose tabs know whether they are seen; the one that Playwright starts says yes to all. */
async function ownBrowser() {
  const folder = mkdtempSync(join(tmpdir(), 'tabs-test-'));
  const program = spawn(CHROMIUM, [...ARGS, '--remote-debugging-port=0', `--user-data-dir=${folder}`, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise(done => program.on('exit', done));
  const address = await new Promise((found, none) => {
    let said = '';
    program.stderr.on('data', data => { const at = /ws:\/\/\S+/.exec(said += data); if (at) found(at[0]); });
    program.on('error', none);
    ended.then(() => none(new Error('the browser did not start')));
  });
  const browser = await chromium.connectOverCDP(address, { noDefaults: true });
  const context = browser.contexts()[0];
  const session = await browser.newBrowserCDPSession();
  return {
    first: context.pages()[0],
    async open(how) {
      const [page] = await Promise.all([context.waitForEvent('page'), session.send('Target.createTarget', { url: `${BASE_URL}/`, ...how })]);
      page.setDefaultTimeout(30_000);
      return page;
    },
    async close() {
      await session.send('Browser.close').catch(() => program.kill('SIGKILL'));
      await ended;
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

const profile = mkdtempSync(join(tmpdir(), 'page-test-'));
const browser = await chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, args: ARGS, viewport: WIDE, colorScheme: 'light' });
const page = browser.pages()[0] ?? await browser.newPage();
page.setDefaultTimeout(30_000);

const complaints = []; // whatever the browser's console reports as an error, policy violations among it
page.on('console', message => { if (message.type() === 'error') complaints.push(message.text()); });
page.on('pageerror', error => complaints.push(error.stack));
const requests = [];
page.on('request', request => { if (new URL(request.url()).pathname.startsWith('/api/')) requests.push(Date.now()); });
const outside = [];
page.on('request', request => { if (!request.url().startsWith(BASE_URL) && !request.url().startsWith('data:')) outside.push(request.url()); });

const picture = name => SCREENSHOTS && page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
const place = name => page.evaluate(hash => { location.hash = hash; }, `#/${name}`);
const overflow = () => page.evaluate(() => {
  const width = document.documentElement.clientWidth;
  const beyond = [document.documentElement.scrollWidth, document.body.scrollWidth, ...[...document.querySelectorAll('.main, .scroll, .thread-scroll')].map(el => el.scrollWidth - el.clientWidth + width)];
  return Math.max(...beyond) - width;
});
const title = `Browser test ${Date.now()}`;
let taskId;
let agent;

await check('the policy is strict, and the page requests no other server', async () => {
  const answer = await page.goto(`${BASE_URL}/`);
  const policy = answer.headers()['content-security-policy'] ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'nonce-[^']+'/);
  assert.doesNotMatch(policy, /unsafe/);
  await page.waitForSelector('#login');
  assert.doesNotMatch(await page.content(), /\{\{NONCE\}\}/);
  assert.deepEqual(requests, [], 'a first visit asks for nothing');
});

await check('a wrong admin key is refused with a sentence', async () => {
  const before = complaints.length;
  await page.fill('#key', 'not-the-key');
  await page.press('#key', 'Enter');
  await page.waitForSelector('#login-error');
  assert.ok((await page.textContent('#login-error')).trim().length > 5);
  // The browser reports every 401 by itself; that one was asked for.
  await sleep(100);
  complaints.splice(before, complaints.length, ...complaints.slice(before).filter(text => !text.includes('401')));
});

await check('the admin key opens the board', async () => {
  await page.fill('#key', ADMIN_KEY);
  await page.press('#key', 'Enter');
  await page.waitForSelector('#board');
  assert.equal(await page.evaluate(() => document.cookie), '', 'the cookie is for the server only');
  const alone = await page.evaluate(accountId => fetch('/api/query', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ path: 'tasks:list', args: { accountId } }),
  }).then(answer => answer.json()), ACCOUNT_ID);
  assert.match(alone.errorMessage, /Unauthenticated/, 'the cookie alone authenticates no one');
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  assert.ok(!kept.includes(ADMIN_KEY), 'the key is kept nowhere');
});

await check('a task is created', async () => {
  [agent] = (await action('listAgents')).filter(one => /^[a-z0-9-]+$/.test(one.slug));
  assert.ok(agent, 'there is an agent (start with --seed demo)');
  await page.click('#new-task');
  await page.fill('#dialog [name=title]', title);
  await page.fill('#dialog [name=description]', 'Made by the **browser test**.');
  await page.click('#dialog-submit');
  await page.waitForSelector('#task');
  taskId = await page.getAttribute('#task', 'data-task');
  assert.equal((await page.textContent('#view-title')).trim(), title);
});

await check('an agent is assigned, and the task leaves the inbox', async () => {
  await page.click('#assign');
  await page.check(`#dialog [data-value="${agent._id}"]`);
  await page.click('#dialog-submit');
  await page.waitForSelector('#task[data-status=assigned]');
  assert.ok((await page.textContent('#assignees')).includes(agent.name));
});

await check('only the allowed steps are offered', async () => {
  const steps = await page.$$eval('#steps [data-step]', buttons => buttons.map(button => button.dataset.step).sort());
  assert.deepEqual(steps, ['archived', 'blocked', 'in_progress', 'inbox']);
  await page.click('[data-step=in_progress]');
  await page.waitForSelector('#task[data-status=in_progress]');
});

await check('the composer completes a mention and sends with Ctrl Enter', async () => {
  await page.click('#message');
  await page.keyboard.type(`Please look, @${agent.slug.slice(0, 3)}`);
  await page.waitForSelector('#suggest [role=option]');
  await page.keyboard.press('Enter');
  assert.equal(await page.inputValue('#message'), `Please look, @${agent.slug} `);
  await page.keyboard.type('thank you');
  await page.keyboard.press('Control+Enter');
  await page.waitForSelector('.msg[data-message]:not(.sending)');
  assert.equal((await page.textContent('.msg:last-child .at')).trim(), `@${agent.slug}`);
  assert.equal(await page.inputValue('#message'), '');
});

await check('another client’s answer appears without a reload', async () => {
  await page.evaluate(() => { window.sameDocument = true; });
  await sleep(1200);
  await page.click('#message');
  await page.keyboard.type('half a thought');
  const began = Date.now();
  await action('createMessageFromAgent', { taskId, agentId: agent._id, content: 'On it: **done by noon**.' });
  await page.waitForFunction(() => [...document.querySelectorAll('.msg strong')].some(el => el.textContent === 'done by noon'), null, { timeout: PATIENCE, polling: 20 });
  const took = Date.now() - began;
  assert.equal(await page.evaluate(() => window.sameDocument), true);
  assert.equal(await page.inputValue('#message'), 'half a thought', 'what is being written stays');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'message', 'and the caret with it');
  await page.fill('#message', '');
  return `${took} ms`;
});

await check('markup in a message stays text', async () => {
  const evil = '<script>window.pwned=1</script><img src=x onerror="window.pwned=1"> [click](javascript:window.pwned=1) <svg onload=window.pwned=1> **<b onmouseover=window.pwned=1>bold</b>**';
  await action('createMessageFromAgent', { taskId, agentId: agent._id, content: evil });
  await page.waitForFunction(() => document.querySelector('.msg:last-child .md')?.textContent.includes('<script>window.pwned=1</script>'));
  await sleep(200);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await page.locator('.msg script, .msg img, .msg .md svg, .msg a[href^="javascript"], .msg b').count(), 0);
});

await check('Markdown is rendered, and links go to the web only', async () => {
  const text = '# Head\n\n- one\n  - deeper\n- two\n\n```js\nlet a = "<b>";\n```\n\n`code`, *it*, https://example.com/a_b_c and [words](https://example.com/x).\n\n> quoted';
  await action('createMessageFromAgent', { taskId, agentId: agent._id, content: text });
  await page.waitForSelector('.msg:last-child blockquote');
  const last = page.locator('.msg:last-child .md');
  assert.equal(await last.locator('h1').textContent(), 'Head');
  assert.equal(await last.locator('ul ul li').textContent(), 'deeper');
  assert.equal(await last.locator('pre code').textContent(), 'let a = "<b>";');
  assert.deepEqual(await last.locator('a').evaluateAll(links => links.map(link => [link.href, link.rel.includes('noopener')])), [['https://example.com/a_b_c', true], ['https://example.com/x', true]]);
});

await check('at most one request a second while messages pour in', async () => {
  await sleep(1500);
  await page.evaluate(() => performance.clearResourceTimings());
  const began = Date.now();
  const pouring = (async () => { for (let n = 1; n <= 20; n++) { await action('createMessageFromAgent', { taskId, agentId: agent._id, content: `message ${n} of 20` }); await sleep(180); } })();
  await pouring;
  // By the page's own clock: events reach this process late on a loaded machine.
  const starts = await page.evaluate(() => performance.getEntriesByType('resource').filter(one => new URL(one.name).pathname.startsWith('/api/')).map(one => one.startTime));
  const seconds = (Date.now() - began) / 1000;
  const [count, closest] = [starts.length, Math.round(Math.min(...starts.slice(1).map((at, n) => at - starts[n])))];
  await page.waitForFunction(() => document.querySelector('.msg:last-child')?.textContent.includes('message 20 of 20'));
  assert.ok(count >= 2 && count <= seconds + 2, `${count} requests in ${seconds} s`); // the first one at once, then one a second
  assert.ok(closest >= 600, `two requests within ${closest} ms`); // messages are 180 ms apart
  return `${count} in ${seconds.toFixed(1)} s, never closer than ${closest} ms`;
});

await check('the newest message is visible', async () => {
  const rest = await page.$eval('#thread-scroll', el => el.scrollHeight - el.scrollTop - el.clientHeight);
  assert.ok(rest < 40, `${rest} px above the end`);
  await picture('task-wide-light');
});

await check('every section opens', async () => {
  for (const [name, mark] of [['agents', '.agent'], ['documents', '.page'], ['skills', '.scroll'], ['settings', '#runtime'], ['board', '#board']]) {
    await place(name);
    await page.waitForSelector(mark);
    await picture(`${name}-wide-light`);
  }
});

await check('a dialog opens and closes by keyboard and restores the focus', async () => {
  await page.focus('#new-task');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#dialog[open]');
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('name')), 'title');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#dialog', { state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'new-task');
});

await check('a long column shows its whole count and loads on demand', async () => {
  const before = Number(await page.textContent('[data-column=inbox] .num'));
  for (let n = 1; n <= 130; n++) await create(`Long column ${n}`);
  const inbox = page.locator('[data-column=inbox]');
  await page.waitForFunction(count => document.querySelector('[data-column=inbox] .num').textContent === String(count), before + 130);
  await page.reload();
  await page.waitForSelector('[data-column=inbox] .task-card');
  const cards = () => inbox.locator('.task-card').count();
  assert.equal(await inbox.locator('.num').textContent(), String(before + 130));
  assert.equal(await cards(), 50, 'the first window');
  // What is not loaded appears on the way down.
  for (let n = 0; n < 20 && await cards() < before + 130; n++) {
    await inbox.locator('ul').evaluate(el => { el.scrollTop = el.scrollHeight; });
    await sleep(150);
  }
  assert.equal(await cards(), before + 130);
  const numbers = (await inbox.locator('.title').allTextContents()).filter(title => title.startsWith('Long column ')).map(title => Number(title.slice(12)));
  assert.equal(numbers.length, 130);
  assert.equal(new Set(numbers).size, 130, 'each once');
});

await check('a filter finds and counts cards that are not loaded', async () => {
  await page.reload();
  await page.waitForSelector('[data-column=inbox] .task-card');
  await page.fill('#filter', 'long COLUMN 1');
  // Fifty of the numbers up to 130 have a 1 in them.
  await page.waitForFunction(() => document.querySelector('[data-column=inbox] .num').textContent === '50');
  assert.equal(await page.locator('[data-column=inbox] .task-card').count(), 50);
  await create('Long column 1, once more');
  await page.waitForFunction(() => document.querySelector('[data-column=inbox] .num').textContent === '51');
  await page.fill('#filter', '');
  await page.waitForFunction(() => document.querySelectorAll('[data-column=inbox] .task-card').length >= 50);
});

await check('a blank filter hides no card, and more of a column can be loaded', async () => {
  await page.reload();
  await page.waitForSelector('[data-column=inbox] .task-card');
  await page.fill('#filter', '  ');
  await create('Long column, behind blanks');
  await page.waitForFunction(() => document.querySelector('[data-column=inbox]').textContent.includes('Long column, behind blanks'));
  await sleep(500); // for whatever the change sets off
  await page.locator('[data-more=inbox]').evaluate(el => el.click());
  await page.waitForFunction(() => document.querySelectorAll('[data-column=inbox] .task-card').length > 60, null, { timeout: 5000 });
  await page.fill('#filter', '');
});

await check('a long thread shows its latest messages first and loads earlier ones on request', async () => {
  for (let n = 1; n <= 70; n++) await action('createMessageFromAgent', { taskId, agentId: agent._id, content: `long thread ${n}` });
  await place(`task/${taskId}`);
  await page.waitForSelector('#earlier');
  assert.equal(await page.locator('#thread .msg').count(), 50);
  const first = await page.textContent('#thread .msg:first-child .md');
  await page.click('#earlier');
  await page.waitForFunction(text => document.querySelector('#thread .msg:first-child .md').textContent !== text, first);
  assert.ok(await page.locator('#thread .msg').count() > 70);
  const texts = (await page.locator('#thread .msg .md').allTextContents()).filter(text => text.startsWith('long thread '));
  assert.deepEqual(texts, Array.from({ length: 70 }, (_, n) => `long thread ${n + 1}`));
  await place('board');
  await page.waitForSelector('#board');
});

await check('an agent and a document open in full', async () => {
  await place('agents');
  await page.click(`[data-agent="${agent.slug}"] [data-do=edit]`);
  await page.waitForSelector('#dialog[open]');
  assert.ok((await page.inputValue('#dialog [name=soulContent]')).length > 20);
  await page.keyboard.press('Escape');
  await page.waitForSelector('#dialog', { state: 'detached' });
  await place('documents');
  await page.click('#documents .name >> nth=0');
  await page.waitForSelector('#document .md');
  await place('documents/nonsense');
  await page.waitForSelector('text=This document no longer exists.');
  await place('board');
  await page.waitForSelector('#board');
});

await check('the dark scheme is dark and readable', async () => {
  const colours = () => page.evaluate(() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const light = colour => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const ground = light(getComputedStyle(document.documentElement).backgroundColor);
    const muted = light(getComputedStyle(document.querySelector('.nav:not([aria-current])')).color);
    const card = document.querySelector('.avatar');
    const avatar = card ? contrast(light(getComputedStyle(card).backgroundColor), light(getComputedStyle(card).color)) : 21;
    return { ground, ink: contrast(ground, light(getComputedStyle(document.body).color)), muted: contrast(ground, muted), avatar };
  });
  const day = await colours();
  await page.emulateMedia({ colorScheme: 'dark' });
  const night = await colours();
  await picture('board-wide-dark');
  assert.ok(day.ground > 0.8 && night.ground < 0.05, JSON.stringify({ day, night }));
  for (const one of [day, night]) assert.ok(one.ink >= 7 && one.muted >= 4.5 && one.avatar >= 4.5, JSON.stringify({ day, night }));
});

await check('on a phone nothing scrolls sideways', async () => {
  await page.setViewportSize(PHONE);
  for (const name of ['board', `task/${taskId}`, 'agents', 'documents', 'skills', 'settings']) {
    await place(name);
    await sleep(250);
    await picture(`${name.split('/')[0]}-phone-dark`);
    assert.ok(await overflow() <= 0, `${name} is ${await overflow()} px too wide`);
  }
  await place('board');
  await page.click('[data-switch=in_progress]');
  await page.waitForSelector(`[data-task="${taskId}"]:visible`);
  await page.click(`[data-task="${taskId}"]:visible`);
  await page.click('#show-details');
  assert.ok(await page.isVisible('#steps'));
  await picture('details-phone-dark');
  assert.ok(await overflow() <= 0);
});

await check('a blocked task asks for its reason', async () => {
  await page.click('[data-step=blocked]');
  await page.fill('#dialog [name=blockedReason]', 'The test says so');
  await page.click('#dialog-submit');
  await page.waitForSelector('#task[data-status=blocked]');
  await page.click('#show-details');
  await page.waitForSelector('.notice.bad:visible');
  assert.ok((await page.textContent('.notice.bad')).includes('The test says so'));
});

await check('a task is deleted', async () => {
  await page.setViewportSize(WIDE);
  await page.click('#delete-task');
  await page.click('#dialog-submit');
  await page.waitForSelector('#board');
  await page.waitForFunction(id => !document.querySelector(`[data-task="${id}"]`), taskId);
});

await check('a provider key is set, shows whether the runtime has it, and is removed', async () => {
  await place('settings');
  await page.click('#set-key');
  await page.fill('#dialog [name=provider]', 'BRAVE_API_KEY');
  await page.fill('#dialog [name=key]', 'a-key-of-brave-0123');
  await page.click('#dialog-submit');
  const one = '[data-provider=BRAVE_API_KEY]';
  await page.waitForSelector(one);
  assert.match(await page.textContent(one), /…0123 · .* · not fetched by the runtime yet/);
  assert.ok(!(await page.content()).includes('a-key-of-brave'));
  const body = { path: 'service/actions:getRuntimeSecrets', format: 'json', args: [{ accountId: ACCOUNT_ID, serviceToken: SERVICE_TOKEN }] };
  await fetch(`${BASE_URL}/api/action`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  await page.waitForSelector(`${one}:has-text("with the runtime since")`);
  await page.click(`${one} .danger`);
  await page.click('#dialog-submit');
  await page.waitForFunction(one => !document.querySelector(one), one);
});

await check('signing out asks for the key again', async () => {
  await place('settings');
  await page.click('#sign-out');
  await page.waitForSelector('#login');
  assert.equal(await page.locator('.task-card, .agent, #runtime').count(), 0);
});

let own;
const tabs = [];
const shown = tab => tab.evaluate(() => !document.hidden);
const answers = tab => tab.evaluate(() => fetch('/version', { signal: AbortSignal.timeout(20_000) }).then(answer => answer.ok));
let made = 0;
/** Makes a task and says how long it took these tabs to show it. */
async function appears(...seen) {
  const title = `Tab test ${++made} of ${Date.now()}`;
  await sleep(1100); // otherwise it may be the turn of a refresh that came of itself
  const began = Date.now();
  await Promise.all([create(title), ...seen.map(tab => tab.waitForFunction(title => document.getElementById('board')?.textContent.includes(title), title, { timeout: PATIENCE, polling: 20 }))]);
  return Date.now() - began;
}

await check('a page with eight hidden tabs works and is up to date', async () => {
  own = await ownBrowser();
  const front = own.first;
  tabs.push(front);
  front.setDefaultTimeout(30_000);
  await front.goto(`${BASE_URL}/`);
  await front.fill('#key', ADMIN_KEY);
  await front.press('#key', 'Enter');
  await front.waitForSelector('#board');
  for (let n = 1; n <= 8; n++) {
    tabs.push(await own.open({ background: true }));
    assert.ok(await answers(front), `with ${n} tabs`);
  }
  for (const tab of tabs.slice(1)) await tab.waitForLoadState();
  assert.deepEqual(await Promise.all(tabs.map(shown)), tabs.map(tab => tab === front));
  const took = await appears(front);
  assert.ok(await answers(front));
  return `${took} ms`;
});

await check('a hidden tab loads when it is shown', async () => {
  for (const tab of tabs.slice(1)) {
    await tab.bringToFront();
    await tab.waitForSelector('#board');
    assert.ok(await shown(tab) && await answers(tab));
  }
  const took = await appears(tabs.at(-1));
  await tabs[0].bringToFront();
  return `${took} ms, and ${await appears(tabs[0])} ms after going back`;
});

await check('signing out and in applies to all tabs', async () => {
  const [front, behind] = tabs;
  await front.evaluate(() => { location.hash = '#/settings'; });
  await front.click('#sign-out');
  await front.waitForSelector('#login');
  await behind.bringToFront();
  await behind.fill('#key', ADMIN_KEY);
  await behind.press('#key', 'Enter');
  await behind.waitForSelector('#board');
  await front.bringToFront();
  await front.waitForSelector('#runtime');
  await front.evaluate(() => { location.hash = '#/board'; });
  await front.reload();
  await front.waitForSelector('#board');
  return `${await appears(front)} ms`;
});

await check('two windows share one stream, and the remaining one takes it over', async () => {
  const [front] = tabs;
  const other = await own.open({ newWindow: true });
  let streams = 0;
  other.on('request', request => { if (new URL(request.url()).pathname === '/changes') streams++; });
  await other.waitForSelector('#board');
  assert.deepEqual([await shown(front), await shown(other)], [true, true]);
  const both = await appears(front, other);
  assert.equal(streams, 0);
  for (const tab of tabs) await tab.close();
  const alone = await appears(other);
  assert.equal(streams, 1);
  return `${both} ms, then ${alone} ms`;
});
await own?.close();

await check('no errors in the console, no policy violation, no request elsewhere', () => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(outside, []);
});

await browser.close();
rmSync(profile, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
