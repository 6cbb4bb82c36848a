// The live page of the runtime in a real browser. It needs a running `mission-control-runtime local` and what that prints,
// and the program itself, which it starts with a gateway of its own:
//
//   BASE_URL=http://… ADMIN_KEY=… ACCOUNT_ID=… SERVICE_TOKEN=… BINARY=/path node tests/browser/live.mjs
//
// and what page.mjs needs besides. One line per check; the last line counts; the exit code is 0 only if all passed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const { ADMIN_KEY, ACCOUNT_ID, SERVICE_TOKEN, BINARY, CHROMIUM = '/usr/bin/chromium', SCREENSHOTS } = process.env;
const BASE_URL = (process.env.BASE_URL ?? process.env.CONVEX_URL ?? '').replace(/\/$/, '');
for (const [name, value] of Object.entries({ BASE_URL, ADMIN_KEY, ACCOUNT_ID, SERVICE_TOKEN, BINARY })) {
  if (!value) { console.error(`${name} is not set; \`mission-control-runtime local\` prints it, and BINARY is the program`); process.exit(2); }
}

const PATIENCE = 40_000;
const PHONE = { width: 390, height: 844 };
const WIDE = { width: 1440, height: 900 };
const EVIL = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';

let passed = 0;
let failed = 0;
async function check(name, run) {
  const began = performance.now();
  try {
    await run();
    passed++;
    console.log(`ok    ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${String(error.message).split('\n').slice(0, 6).join(' | ')}`);
  }
}

/* ── What the runtime stands between ─────────────────────────────────────────────────────────────────────────────── */

const body = async request => { let text = ''; for await (const part of request) text += part; return text; };
const listen = async server => { server.listen(0, '127.0.0.1'); await once(server, 'listening'); return `http://127.0.0.1:${server.address().port}`; };

/** What each agent's next turns come to: { say }, { fail }, or { hang }; with { calls }, these come first. */
const minds = new Map();
let turns = 0;

const gateway = createServer(async (request, answer) => {
  const json = (status, value) => { answer.writeHead(status, { 'Content-Type': 'application/json' }); answer.end(JSON.stringify(value)); };
  if (request.url === '/startupz') return json(200, { ok: true, version: '2026.9.6' });
  if (request.url === '/readyz') return json(200, { ready: true });
  // The outcome of a turn without a sign of life is unknown here, so the turn stays stuck.
  if (request.url.startsWith('/sessions/')) return json(500, {});
  if (request.url !== '/v1/responses') return json(request.url === '/v1/models' ? 200 : 404, { data: [] });
  const { model, input } = JSON.parse(await body(request));
  const slug = model.split('/').pop();
  const mind = minds.get(slug) ?? { say: 'Noted.' };
  const id = `resp_${++turns}`;
  const event = (name, value) => answer.write(`event: ${name}\ndata: ${JSON.stringify({ type: name, ...value })}\n\n`);
  answer.writeHead(200, { 'Content-Type': 'text/event-stream' });
  event('response.created', { response: { id, status: 'in_progress', output: [] } });
  if (mind.hang) return;
  const usage = { input_tokens: 12_400, output_tokens: 310, total_tokens: 12_710 };
  if (mind.fail) event('response.failed', { response: { id, status: 'failed', output: [], error: { code: 'server_error', message: mind.fail }, usage: { ...usage, output_tokens: 0 } } });
  else if (mind.calls && !(Array.isArray(input) && input.some(item => item.type === 'function_call_output'))) {
    const output = mind.calls.map(([name, args], n) => ({ type: 'function_call', id: `fc_${id}_${n}`, call_id: `call_${id}_${n}`, name, arguments: JSON.stringify(args), status: 'completed' }));
    event('response.completed', { response: { id, status: 'completed', usage, output } });
  } else event('response.completed', { response: { id, status: 'completed', usage, output: [{ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: mind.say }] }] } });
  answer.end('data: [DONE]\n\n');
});

/** Mission Control, which takes no messages of these agents. */
const speechless = new Set();
const board = createServer(async (request, answer) => {
  const text = await body(request);
  if (text.includes(':createMessageFromAgent"') && [...speechless].some(id => text.includes(id))) {
    answer.writeHead(503);
    return answer.end();
  }
  const passedOn = await fetch(BASE_URL + request.url, { method: request.method, headers: { 'Content-Type': 'application/json' }, body: text || undefined });
  answer.writeHead(passedOn.status, { 'Content-Type': passedOn.headers.get('content-type') ?? 'text/plain' });
  answer.end(Buffer.from(await passedOn.arrayBuffer()));
});

const [gatewayUrl, boardUrl] = [await listen(gateway), await listen(board)];
const folder = mkdtempSync(join(tmpdir(), 'live-'));
writeFileSync(join(folder, 'nothing.env'), ''); // so that the machine's own is not read
let port = 0;
let runtime = null;

/** Starts the runtime, and says where it listens. The second time at the same address. */
async function start() {
  const child = spawn(BINARY, ['run', '--env-file', join(folder, 'nothing.env')], {
    stdio: ['ignore', 'ignore', 'pipe'], cwd: folder,
    env: { ACCOUNT_ID, SERVICE_TOKEN, CONVEX_URL: boardUrl, OPENCLAW_GATEWAY_URL: gatewayUrl, HEALTH_PORT: String(port), STATE_DIR: join(folder, 'state'),
      BOARD_URL: BASE_URL, DELIVERY_INTERVAL: '1000', DELIVERY_DRAIN_MS: '0', OPENCLAW_REQUEST_TIMEOUT_MS: '5000', DELIVERY_MAX_ATTEMPTS: '3', TEAM_TURNS_MAX: '3',
      BUDGET_DAILY_TOKENS: '2000000', BUDGET_AGENTS: 'spender=20000,saver=5usd',
      OPENCLAW_PROFILE_SYNC: 'yes', OPENCLAW_WORKSPACE_ROOT: join(folder, 'openclaw', 'agents') },
  });
  runtime = child;
  for await (const line of createInterface({ input: child.stderr })) {
    if (process.env.SHOW_LOG) console.error(line);
    const found = /Listening url=http:\/\/[^:]+:(\d+)/.exec(line);
    if (found) port = Number(found[1]);
    // The token is there by now.
    if (line.includes('The roster has changed')) break;
  }
  child.stderr.resume();
  assert.ok(port && child.exitCode === null, 'the runtime does not start');
}

async function end() {
  if (!runtime || runtime.exitCode !== null) return;
  runtime.kill('SIGKILL');
  await once(runtime, 'exit');
}

/* ── What the test does on its own ───────────────────────────────────────────────────────────────────────────────── */

/** The person's side of Mission Control. */
async function person(kind, path, args) {
  const answer = await fetch(`${BASE_URL}/api/${kind}`, {
    method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: `Convex ${ADMIN_KEY}` },
    body: JSON.stringify({ path, args: { accountId: ACCOUNT_ID, ...args }, format: 'json' }),
  });
  const said = await answer.json();
  assert.equal(said.status, 'success', `${path}: ${said.errorMessage ?? answer.status}`);
  return said.value;
}

async function hire(slug, name, role, more) {
  const id = await person('mutation', 'agents:create', { name, slug, role, ...more });
  return typeof id === 'string' ? id : id._id ?? id.agentId;
}

const url = path => `http://127.0.0.1:${port}${path}`;
const token = () => readFileSync(join(folder, 'state', 'operator-token'), 'utf8').trim();
const operator = async path => (await fetch(url(path), { headers: { Authorization: `Bearer ${token()}` } })).json();
const health = async () => (await fetch(url('/health'))).json();
const nudge = () => fetch(url('/nudge'), { method: 'POST' });

let tasks = 0;
/** A task of its own, in which the person names an agent. */
async function mention(slug, words, title = `Live test ${++tasks}`) {
  const made = await person('mutation', 'tasks:create', { title, priority: 3, labels: [] });
  const taskId = typeof made === 'string' ? made : made._id ?? made.taskId;
  await person('mutation', 'messages:create', { taskId, content: `@${slug} ${words}` });
  await nudge();
  return taskId;
}

/** A task of its own, which the person assigns to an agent. */
async function assign(agentId, title) {
  const made = await person('mutation', 'tasks:create', { title, priority: 3, labels: [] });
  const taskId = typeof made === 'string' ? made : made._id ?? made.taskId;
  await person('mutation', 'tasks:assign', { taskId, assignedAgentIds: [agentId] });
  await nudge();
  return taskId;
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
const complaints = [];
const elsewhere = [];
async function tab() {
  const context = await browser.newContext({ viewport: WIDE, reducedMotion: 'reduce' });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.asked = [];
  page.on('request', request => {
    const { host, pathname, href } = new URL(request.url());
    if (host !== `127.0.0.1:${port}` && !href.startsWith('data:')) elsewhere.push(request.url());
    page.asked.push(`${request.method()} ${pathname}`);
    page.shown = request.headers().authorization ?? page.shown;
  });
  // A refusal and a service that is away are what some checks are about; the browser writes a line for each.
  page.on('console', message => { if (['error', 'warning'].includes(message.type()) && !/Failed to load resource/.test(message.text())) complaints.push(message.text()); });
  page.on('pageerror', error => complaints.push(String(error)));
  return page;
}
async function picture(page, name) {
  if (!SCREENSHOTS) return;
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: `${SCREENSHOTS}/live-${name}.png`, fullPage: !name.startsWith('phone') });
}
const overflow = page => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
const row = (list, agent) => `#${list} .one:has(.link:text-is("${agent}"))`;

/** The link of this element, as a browser would open it, and what protects the page that it leaves. */
const linkOf = element => element.evaluate(a => [a.href, a.target, a.rel]);

/* ── The checks ──────────────────────────────────────────────────────────────────────────────────────────────────── */

const mended = await hire('mender', 'Mel Mender', 'Mends what was given up');
const claimer = await hire('claimer', 'Clara Claimer', 'Calls tasks ready');
await hire('dropper', 'Dora Dropper', 'Is dropped for good');
await hire('spender', 'Sam Spender', 'Uses up a budget');
await hire('stuck', 'Stella Stuck', 'Says nothing for too long');
await hire('hanger', 'Hank Hanger', 'Thinks for a long time');
await hire('pauser', 'Paula Pauser', 'Takes a break');
const mute = await hire('mute', EVIL, EVIL);
await hire('scribe', 'Sara Scribe', 'Has a long soul', { soulContent: `A line of a soul. ${EVIL}\n`.repeat(600) });
await hire('sleeper', 'Sam Sleeper', 'Has an interval that is too long', { heartbeatInterval: 100_000 });
await hire('ping', 'Pia Ping', 'Asks Paul');
await hire('pong', 'Paul Pong', 'Asks Pia');
minds.set('ping', { say: '@pong, your turn.' });
minds.set('pong', { say: '@ping, your turn.' });
assert.ok(mended && mute);
minds.set('mender', { fail: `invalid tool configuration ${EVIL}` });
const QUOTED = 'no tool k97zz48231xw9,310 behind http://127.0.0.1:18789/v1';
minds.set('dropper', { fail: `invalid tool configuration: ${QUOTED}` });
minds.set('claimer', { calls: [['task_status', { status: 'in_progress' }], ['task_status', { status: 'review' }]], say: 'Done, please review.' });
minds.set('hanger', { hang: true });
minds.set('stuck', { hang: true });
minds.set('mute', { say: `The answer. ${EVIL}` });
speechless.add(mute);
await start();

let page = await tab();

await check('without a token the page shows, requests and changes nothing', async () => {
  await mention('mender', 'please');
  await mention('stuck', 'please');
  await page.goto(url('/'));
  await page.waitForSelector('#token');
  await page.waitForFunction(() => /The service is (healthy|degraded|starting)/.test(document.getElementById('gate-status').textContent));
  assert.equal(await page.locator('.one, .agent, .chart, [data-act], #pause-all').count(), 0);
  await page.waitForResponse(answer => new URL(answer.url()).pathname === '/health'); // and one more look
  assert.deepEqual([...new Set(page.asked)], ['GET /', 'GET /health']);
  assert.match(await page.textContent('#gate-status'), /The service is/);
  const text = await page.textContent('body');
  for (const word of ['mender', 'invalid tool', ACCOUNT_ID]) assert.ok(!text.includes(word), word);
  await picture(page, 'gate-light');
});

await check('a wrong token is refused with a sentence', async () => {
  await page.fill('#token', 'not-the-token');
  await page.press('#token', 'Enter');
  await page.waitForSelector('#refusal');
  assert.match(await page.textContent('#refusal'), /not the token of this service/);
  await page.waitForSelector('#gate-status:has-text("The service is")');
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assert.equal(await page.locator('.one, .agent').count(), 0);
  await picture(page, 'gate-refused');
});

await check('before the first answer of the service the page states nothing about it', async () => {
  page = await tab();
  let hear;
  const heard = new Promise(resolve => { hear = resolve; });
  await page.route('**/health', async route => { await heard; await route.continue(); });
  await page.goto(url('/#token=not-the-token'));
  await page.waitForSelector('#refusal');
  assert.match(await page.textContent('#gate-status'), /^Contacting the service …$/);
  hear();
  await page.waitForSelector('#gate-status:has-text("The service is")');
  await page.route('**/health', route => route.abort());
  await page.waitForSelector('#gate-status:has-text("does not answer")');
});

await check('the link opens the page, and the token leaves the address', async () => {
  page = await tab();
  await page.goto(url(`/#token=${token()}`));
  await page.waitForSelector('#status');
  assert.equal(page.url(), url('/'));
  assert.equal(await page.evaluate(() => localStorage.length + document.cookie.length), 0);
  assert.equal(page.shown, `Bearer ${token()}`);
  assert.ok(!(await page.content()).includes(token()));
  await page.reload();
  await page.waitForSelector('#status');
});

let letter = '';

await check('a click retries a dead letter and removes it from the list', async () => {
  await page.waitForSelector(row('dead', 'mender'));
  assert.match(await page.textContent('#reasons'), /dead_letters/);
  await picture(page, 'dead-light');
  minds.set('mender', { say: `All is well. ${EVIL}` });
  letter = await page.getAttribute(row('dead', 'mender'), 'data-id');
  await page.click(`#dead [data-id="${letter}"] [data-act=retry]`);
  await page.waitForSelector(`#dead [data-id="${letter}"]`, { state: 'detached' });
  await page.waitForSelector(`#recent [data-id="${letter}"][data-state=answered]`);
  assert.ok(!JSON.stringify((await operator('/overview')).dead).includes(letter));
});

await check('the timeline of a delivery opens and stays open', async () => {
  const one = `#recent [data-id="${letter}"]`;
  await page.focus(`${one} [data-open]`);
  await page.keyboard.press('Enter');
  await page.waitForSelector(`${one} .steps li`);
  const steps = await page.textContent(`${one} .steps`);
  for (const word of ['Turn sent', 'Retried', 'Posted', 'Ended']) assert.ok(steps.includes(word), `${word}: ${steps}`);
  assert.match(await page.textContent(`${one} .story`), /12,400 tokens read/);
  await page.waitForResponse(answer => answer.url().endsWith('/overview'));
  await page.waitForResponse(answer => answer.url().endsWith('/overview'));
  assert.equal(await page.getAttribute(`${one} [data-open]`, 'aria-expanded'), 'true');
  assert.equal(await page.evaluate(() => document.activeElement?.hasAttribute('data-open')), true, 'a refresh takes no focus away');
});

await check('a turn that is stuck is marked', async () => {
  const one = '#in-flight .one.stuck';
  await page.waitForSelector(`${one} [data-act=give-up]`);
  assert.match(await page.textContent('#reasons'), /stuck_turns/);
  await picture(page, 'stuck-light');
});

await check('a dead letter is dropped after a confirmation', async () => {
  await mention('dropper', 'please');
  const one = row('dead', 'dropper');
  // What could be copied stands there as it came: digits in ids and addresses are no amounts.
  await page.waitForSelector(one);
  assert.ok((await page.textContent(`${one} .words`)).includes(QUOTED), await page.textContent(one));
  await page.click(`${one} [data-act=drop]`);
  await page.keyboard.press('Escape');
  await page.waitForSelector(`${one} [data-act=drop]`);
  const dropped = await page.getAttribute(one, 'data-id');
  const isDead = async () => JSON.stringify((await operator('/overview')).dead).includes(dropped);
  assert.ok(await isDead(), 'Escape drops nothing');
  await page.click(`${one} [data-act=drop]`);
  assert.equal(await page.evaluate(() => document.activeElement?.hasAttribute('data-yes')), true);
  await page.click(`${one} [data-yes]`);
  await page.waitForSelector(one, { state: 'detached' });
  await page.waitForSelector(`${row('recent', 'dropper')}[data-state=dropped]`);
  assert.ok(!await isDead());
});

await check('markup in texts of people and agents stays text', async () => {
  const taskId = await mention('mute', `look: ${EVIL}`);
  const one = `:is(#in-flight, #unsettled) .one:has(.link:text-is("mute"))`;
  await page.click(`${one} [data-open]`);
  await page.waitForSelector(`${one} .answer`);
  assert.ok((await page.textContent(`${one} .answer`)).includes(EVIL), 'the answer that is not posted');
  assert.ok((await page.textContent('[data-agent-slug=mute]')).includes(EVIL), 'the name of the agent');
  await page.fill('#why', 'mender');
  await page.press('#why', 'Enter');
  await page.waitForSelector('#answer .inner .one');
  await page.fill('#why', `${EVIL}/../x?y#z`);
  await page.press('#why', 'Enter');
  await page.waitForFunction(() => document.querySelector('#answer .story')?.textContent.includes('No agent, task or notification matches'));
  assert.ok((await page.textContent('#found')).includes(EVIL));
  await page.fill('#why', taskId);
  await page.press('#why', 'Enter');
  await page.waitForSelector('#answer .inner .one[data-state]');
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'found');
  await picture(page, 'why-light');
  await page.click('#answer [aria-label="Close the answer"]');
  await page.waitForSelector('#answer', { state: 'detached' });
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await page.locator('#app img, #app script').count(), 0);
});

await check('a budget has a bar, says when it is used up, and is raised or reset on the page', async () => {
  const one = '#budgets [data-budget=spender]';
  const of = state => page.waitForSelector(`${one}[data-reached=${state}]`);
  await of('no');
  assert.match(await page.textContent('#budgets [data-budget=""]'), /All agents.* of 2,000,000 tokens/s);
  assert.match(await page.textContent('#budgets .notice'), /A budget in dollars counts nothing unless the gateway reports/);
  await mention('spender', 'first');
  await mention('spender', 'second');
  await of('yes');
  assert.match(await page.textContent(one), /25,420 of 20,000 tokens \(127 %\): reached, turns wait/);
  assert.equal(await page.getAttribute(`${one} svg`, 'aria-label'), '127 percent used');
  await page.waitForSelector('#reasons:has-text("a daily budget is reached")');
  await mention('spender', 'third');
  await page.waitForSelector(row('unsettled', 'spender'));
  await picture(page, 'budget-light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await picture(page, 'budget-dark');
  await page.setViewportSize(PHONE);
  assert.equal(await overflow(page), 0, 'nothing is wider than the phone');
  await picture(page, 'budget-phone');
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.click(`${one} [data-act=raise]`);
  await page.waitForSelector(`${one}:has-text("of 30,000 tokens")`);
  // The row that waited runs now, and reaches the new limit.
  await of('yes');
  await page.click(`${one} [data-act=reset]`);
  await of('no');
});

let claimed = '';

await check('a task that is called ready without work is listed, and its facts stand beside its status', async () => {
  claimed = await assign(claimer, `Write the page ${EVIL}`);
  const one = `#evidence [data-task="${claimed}"]`;
  // The page asks for the list only while it is open, and then four times a minute.
  let asked = 0;
  const count = request => { asked += request.url().includes('/evidence/') ? 1 : 0; };
  page.on('request', count);
  await page.waitForTimeout(2_000);
  assert.equal(asked, 0, 'the list is closed');
  await page.click('#evidence [data-act=evidence]');
  await page.waitForSelector(one, { timeout: 45_000 });
  assert.ok(asked > 0 && asked < 5, `${asked} requests`);
  page.off('request', count);
  const text = await page.textContent(one);
  for (const words of ['Write the page <img', 'No effect. claimer called the task ready', 'Review, set by claimer', 'none since the assignment']) assert.ok(text.includes(words), `${words}: ${text}`);
  await page.click(`${one} .link`);
  await page.waitForSelector(`#answer [data-evidence="${claimed}"] [data-mark=no-effect]`);
  await picture(page, 'evidence-light');
  await page.click('#answer [aria-label="Close the answer"]');
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  // The list of ended deliveries is longer now; the later checks look for an old one.
  await page.click('#recent [data-more]');
});

await check('each guardrail stands on the page with its value and its state', async () => {
  const all = Object.keys((await health()).guardrails);
  assert.ok(all.length >= 15, `${all.length}`);
  for (const name of all) {
    const look = async () => ({ text: await page.textContent(`#guardrails [data-limit=${name}]`), ...(await health()).guardrails[name] });
    const agrees = ({ text, state }) => text.toLowerCase().includes(state.slice(0, 5).toLowerCase());
    let seen = await look();
    // A turn may end between the page's request and ours.
    for (const until = Date.now() + PATIENCE; !agrees(seen) && Date.now() < until; seen = await look()) {
      await page.waitForResponse(answer => answer.url().endsWith('/overview'));
    }
    const { text, value, isDefault, state } = seen;
    for (const words of [name, value ?? 'not set', isDefault && value !== null ? 'default' : '']) assert.ok(text.includes(words), `${words}: ${text}`);
    assert.ok(agrees(seen), `${state}: ${text}`);
  }
  await picture(page, 'guardrails-light');
});

await check('links lead to the board and to the page of each task', async () => {
  const protectedLink = href => [href, '_blank', 'noopener noreferrer'];
  assert.deepEqual(await linkOf(page.locator('#board')), protectedLink(`${BASE_URL}/`));
  const one = page.locator(`#recent [data-id="${letter}"]`);
  const task = await one.locator('.link.mono').getAttribute('title').then(title => /task (\S+) /.exec(title)[1]);
  const title = one.locator('a.title');
  assert.deepEqual(await linkOf(title), protectedLink(`${BASE_URL}/#/task/${task}`));
  const board = await (await browser.newContext()).newPage();
  board.setDefaultTimeout(PATIENCE);
  await board.goto((await linkOf(title))[0]);
  await board.fill('#key', ADMIN_KEY);
  await board.press('#key', 'Enter');
  await board.waitForSelector(`#main :text("${await title.textContent()}")`);
  await board.context().close();
});

await check('the gateway process and the stored keys are facts', async () => {
  let child, keys;
  await page.route('**/overview', async route => {
    const response = await route.fetch();
    const json = await response.json();
    Object.assign(json.health.gateway, { child });
    Object.assign(json.health.gatewayKeys, keys);
    await route.fulfill({ response, json });
  });
  const shows = (name, words) => page.waitForFunction(([name, words]) => [...document.querySelectorAll('.facts div')].some(one => one.querySelector('dt').textContent === name && new RegExp(words).test(one.querySelector('dd').textContent)), [name, words]);
  const at = Date.now();
  child = { state: 'ready', pid: 7, startedAt: at - 60_000, adopted: false, restarts: 2, lastEnd: 'was ended by signal 9', reason: null, version: '2026.9.6' };
  keys = { state: 'in_sync', names: ['A_KEY', 'B_KEY'], writtenAt: at - 90_000, refused: [], lastError: null };
  await shows('Gateway process', '^ready, 2026.9.6, since \\d+ s ago, 2 restarts, the last one was ended by signal 9$');
  await shows('Stored keys', '^A_KEY, B_KEY, in use since \\d+ s ago$');
  keys = { ...keys, writtenAt: at - 1_000, refused: [['LD_PRELOAD', 'decides which programs run']] };
  await shows('Stored keys', '^refused: LD_PRELOAD decides which programs run; A_KEY, B_KEY, in use after the next restart of the gateway$');
  keys = { ...keys, names: [] };
  await shows('Stored keys', '^refused: LD_PRELOAD decides which programs run$');
  child = { ...child, state: 'waiting', startedAt: null, reason: 'the gateway has ended with exit code 7' };
  keys = { ...keys, lastError: 'the file cannot be written' };
  await shows('Gateway process', '^waiting: the gateway has ended with exit code 7$');
  await shows('Stored keys', '^the file cannot be written$');
  child = null;
  keys = { state: 'in_sync', names: ['A_KEY'], writtenAt: at - 60_000, refused: [], lastError: null };
  await shows('Stored keys', '^A_KEY, in its env file since \\d+ s ago$');
  keys = { state: 'not_offered', names: [], writtenAt: null, refused: [], lastError: null };
  await shows('Stored keys', '^not offered by Mission Control$');
  await page.unroute('**/overview');
});

await check('each agent shows by what sign it is online, its heartbeats, and the files of its workspace', async () => {
  // The list shows its first agents only.
  await page.click('#agents [data-more]');
  const one = '[data-agent-slug=mender]';
  await page.waitForSelector(`${one} [data-online]:has-text("Online: ")`);
  assert.match(await page.textContent(`${one} [data-online]`), /^Online: (answered a turn|Mission Control received its heartbeat|reported to Mission Control) \d+ (s|min) ago\.$/);
  assert.match(await page.textContent(`${one} [data-heartbeats]`), /^Heartbeat every \d+ (s|min|h): \d+ sent, \d+ did work, \d+ saved/);
  const scribe = '[data-agent-slug=scribe]';
  await page.waitForSelector(`${scribe}:has-text("SOUL.md has")`);
  await page.focus('[data-files=scribe]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('[data-files-of=scribe] tbody tr');
  const rows = await page.$$eval('[data-files-of=scribe] tbody tr', rows => rows.map(row => [...row.cells].map(cell => cell.textContent)));
  const soul = rows.find(([path]) => path === 'SOUL.md');
  assert.match(soul[1], /^\d+\.\d kB$/);
  assert.match(soul[2], /ago$/);
  assert.equal(soul[3], 'cut');
  assert.deepEqual(rows.filter(row => row[3]).map(([path]) => path), ['SOUL.md']);
  assert.ok(rows.some(([path]) => path === 'AGENTS.md'));
  await page.waitForResponse(answer => answer.url().endsWith('/overview'));
  assert.equal(await page.evaluate(() => document.activeElement?.dataset.files), 'scribe', 'a refresh takes no focus away');
  const lists = page.asked.filter(one => one.startsWith('GET /workspaces/')).length;
  assert.ok(lists <= 2, `${lists} requests for one list of files`);
  const roster = await page.textContent('#roster');
  assert.match(roster, /read \d+ (s|min) ago/);
  assert.match(roster, new RegExp(`Mission Control named ${(await health()).agentSync.agents} agents`));
  assert.match(roster, /sleeper.*24 hours/);
  for (const [scheme, viewport] of [['light', WIDE], ['dark', WIDE], ['dark', PHONE], ['light', PHONE]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize(viewport);
    await page.locator('#roster').evaluate(el => el.scrollIntoView());
    if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/live-agents-${scheme}-${viewport.width}.png` });
    await page.locator(scribe).evaluate(el => el.scrollIntoView());
    if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/live-files-${scheme}-${viewport.width}.png` });
    assert.ok(await overflow(page) <= 0, `${scheme}, ${viewport.width} px`);
    // No column of the table leaves its card.
    const wide = await page.$eval('[data-files-of=scribe]', table => table.getBoundingClientRect().right - table.closest('.card').getBoundingClientRect().right);
    assert.ok(wide <= 0, `${scheme}, ${viewport.width} px: the table is ${wide} px too wide`);
  }
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: 'light' });
});

await check('pausing all agents and resuming them', async () => {
  await page.click('#pause-all');
  await page.waitForSelector('#paused');
  await mention('pauser', 'hello');
  await page.waitForSelector(`${row('unsettled', 'pauser')}[data-state=held]`);
  assert.match(await page.textContent('#status'), /everything is paused/);
  assert.doesNotMatch(await page.textContent('#status'), /everything works/);
  assert.equal(await page.getAttribute('#status .lamp', 'data-is'), 'paused');
  assert.deepEqual(await page.$$eval('#reasons li:has-text("Everything is paused") .name', names => names.map(one => one.textContent)), ['paused']);
  await picture(page, 'paused-light');
  await page.click('#pause-all');
  await page.waitForSelector('#paused', { state: 'detached' });
  await page.waitForSelector(`${row('recent', 'pauser')}[data-state=answered]`);
});

await check('pausing one agent and resuming it', async () => {
  await page.click('[data-agent-slug=pauser] [data-act=pause]');
  await page.waitForSelector('[data-agent-slug=pauser].paused [data-act=resume]');
  assert.deepEqual((await health()).paused, { all: false, agents: ['pauser'] });
  assert.match(await page.textContent('#paused'), /pauser starts no turns/);
  await mention('pauser', 'hello again');
  await page.waitForSelector(`${row('unsettled', 'pauser')}[data-state=held]`);
  await page.click('[data-agent-slug=pauser] [data-act=resume]');
  await page.waitForSelector(row('unsettled', 'pauser'), { state: 'detached' });
  await page.waitForFunction(() => document.querySelectorAll('#recent .one').length >= 4);
});

await check('a running turn is shown, and can be given up', async () => {
  await mention('hanger', 'think about it');
  const one = row('in-flight', 'hanger');
  await page.waitForSelector(`${one} .age`);
  assert.match(await page.textContent(`${one} .age`), /last sign of life/);
  await page.waitForSelector('[data-agent-slug=hanger] .under:has-text("At work on")');
  await picture(page, 'flight-light');
  await page.click(`${one} [data-act=give-up]`);
  await page.click(`${one} [data-yes]`);
  await page.waitForSelector(one, { state: 'detached' });
  await page.waitForSelector(row('dead', 'hanger'));
  assert.match(await page.textContent(row('dead', 'hanger')), /An operator stopped the wait for the agent/);
});

await check('the chart shows the last hour', async () => {
  const shown = () => page.$$eval('.chart', charts => Object.fromEntries(charts.map(chart => [chart.dataset.chart, Number(chart.dataset.total)])));
  const counted = async () => (await operator('/overview')).hour.turns.reduce((all, one) => all + one, 0);
  // A turn may end between the page's request and ours.
  let [totals, turns] = [await shown(), await counted()];
  for (const until = Date.now() + PATIENCE; totals.turns !== turns && Date.now() < until; [totals, turns] = [await shown(), await counted()]) {
    await page.waitForResponse(answer => answer.url().endsWith('/overview'));
  }
  assert.equal(totals.turns, turns);
  assert.ok(totals.turns >= 5 && totals.tokens >= 12_400 && totals.deliveries >= 4 && totals.failures >= 1, JSON.stringify(totals));
  assert.ok((await page.getAttribute('[data-chart=deliveries] svg', 'aria-label')).includes('answered'));
  assert.ok(await page.locator('[data-chart=deliveries] path[d*="M"]').count() >= 1);
  assert.match(await page.textContent('[data-chart=turns] h3'), /^Requests/);
  assert.match(await page.textContent('.hour > .hint'), /restarts with each start of the service \(grey: before this start\)/);
  await page.hover('[data-chart=turns] svg', { position: { x: 2, y: 20 } });
  await page.waitForSelector('[data-chart=turns] p:text-is("grey: before this start")');
  // No chart is alone in its row but the first one on a phone, and no caption is wider than its card.
  for (const [width, rows] of [[1280, '5'], [800, '3,2'], [390, '1,2,2']]) {
    await page.setViewportSize({ width, height: 900 });
    const places = await page.$$eval('.chart', charts => charts.map(chart => [chart.getBoundingClientRect().top, chart.querySelector('p').scrollWidth - chart.querySelector('p').clientWidth]));
    const tops = places.map(([top]) => top);
    assert.equal([...new Set(tops)].map(top => tops.filter(other => other === top).length).join(), rows, `${width} px`);
    await picture(page, `charts-${width}`);
    assert.ok(places.every(([, over]) => over <= 0) && await overflow(page) <= 0, `${width} px: ${places}`);
  }
  await page.setViewportSize(WIDE);
});

await check('ids can be distinguished, and names are aligned in a column', async () => {
  const one = await page.$eval('#recent .one:not(.open) .link.mono', link => [link.textContent, /task (\S+) /.exec(link.title)[1]]);
  assert.ok(one[0].startsWith('…') && one[1].endsWith(one[0].slice(1)), one.join());
  const open = await page.$eval('#recent .one.open .link.mono', link => [link.textContent, /task (\S+) /.exec(link.title)[1]]);
  assert.equal(open[0], open[1]);
  const widths = await page.$$eval('.one > .top > .pill', pills => [...new Set(pills.map(pill => pill.getBoundingClientRect().width))]);
  assert.equal(widths.length, 1, widths.join());
  const long = 'A title that is much longer than the line '.repeat(3).trim();
  await mention('mender', 'please', long);
  await page.waitForSelector('#recent .one[data-state=answered]:has-text("A title that is much longer")');
  const heights = await page.$$eval('#recent .one:not(.open) > .top', tops => [...new Set(tops.map(top => Math.round(top.getBoundingClientRect().height)))]);
  assert.equal(heights.length, 1, `lines of these heights: ${heights.join()}`);
});

await check('a hidden page requests nothing, and is up to date when it is shown again', async () => {
  // As the browser tells it to a page in a tab that is not in front.
  const hide = hidden => page.evaluate(hidden => { Object.defineProperty(document, 'hidden', { configurable: true, value: hidden }); document.dispatchEvent(new Event('visibilitychange')); }, hidden);
  await page.waitForResponse(answer => answer.url().endsWith('/overview'));
  await hide(true);
  page.asked.length = 0;
  await page.waitForTimeout(2500); // longer than any two looks are apart
  assert.ok(page.asked.filter(one => one === 'GET /overview').length <= 1, page.asked.join());
  const looks = page.waitForResponse(answer => answer.url().endsWith('/overview'));
  await hide(false);
  await looks;
});

await check('the page reports an unreachable service, and finds it again', async () => {
  await end();
  await page.waitForSelector('#lost');
  assert.equal(await page.getAttribute('#status', 'data-status-is'), 'lost');
  assert.ok(await page.locator('#recent .one').count() > 0, 'what was last heard stays');
  await picture(page, 'lost-light');
  await start();
  await page.waitForSelector('#lost', { state: 'detached' });
  await page.waitForSelector(`#recent [data-id="${letter}"][data-state=answered]`);
});

await check('the dark scheme is dark and readable, and nothing scrolls sideways on a phone', async () => {
  const light = () => page.evaluate(() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const of = colour => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const card = of(getComputedStyle(document.querySelector('.card')).backgroundColor);
    const worst = Math.min(...[...document.querySelectorAll('.one .words, .one .next, .one time, .reasons .name, .facts dt, .pill, .chart p, .agent .under, .files :is(th, td), .roster p, .evidence :is(dt, dd, .mark), .limit *')].map(el => contrast(card, of(getComputedStyle(el).color))));
    return { ground: of(getComputedStyle(document.documentElement).backgroundColor), worst };
  });
  await picture(page, 'wide-light');
  const day = await light();
  await page.emulateMedia({ colorScheme: 'dark' });
  await picture(page, 'wide-dark');
  const night = await light();
  assert.ok(day.ground > 0.8 && night.ground < 0.05 && day.worst >= 4.5 && night.worst >= 4.5, JSON.stringify({ day, night }));
  await page.setViewportSize(PHONE);
  await picture(page, 'phone-dark');
  assert.ok(await overflow(page) <= 0, `${await overflow(page)} px too wide`);
  await page.emulateMedia({ colorScheme: 'light' });
  assert.ok(await page.isVisible(`#recent [data-id="${letter}"] .steps li >> nth=0`), 'it is still unfolded');
  await picture(page, 'phone-light');
  if (SCREENSHOTS) {
    await page.locator('#evidence').evaluate(el => el.scrollIntoView());
    await page.screenshot({ path: `${SCREENSHOTS}/live-phone-evidence.png` });
    await page.locator('#guardrails').evaluate(el => el.scrollIntoView());
    await page.screenshot({ path: `${SCREENSHOTS}/live-phone-guardrails.png` });
    await page.locator('#agents').evaluate(el => el.scrollIntoView());
    await page.screenshot({ path: `${SCREENSHOTS}/live-phone-agents.png` });
    await page.locator('#dead').evaluate(el => el.scrollIntoView());
    await page.screenshot({ path: `${SCREENSHOTS}/live-phone-lists.png` });
  }
  
});

await check('a thread that the loop brake has stopped shows its turns, its limit and what lets it continue', async () => {
  await page.setViewportSize(WIDE);
  await mention('ping', 'please begin', 'Ping and pong <b>');
  const one = '#stopped .one:has-text("Ping and pong")';
  await page.waitForSelector(one);
  const text = await page.textContent(one);
  for (const words of ['Ping and pong <b>', 'had 3 turns since a person last wrote', 'TEAM_TURNS_MAX', '1 row waits', 'A message in the thread']) assert.ok(text.includes(words), `${words}: ${text}`);
  for (const [scheme, size] of [['light', WIDE], ['dark', WIDE], ['dark', PHONE], ['light', PHONE]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize(size);
    await page.locator('#stopped').evaluate(el => el.scrollIntoView());
    if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/live-stopped-${scheme}-${size.width}.png` });
    assert.ok(await overflow(page) <= 0, `${scheme}, ${size.width} px`);
  }
  const stops = async () => (await health()).delivery.guardrails.teamStops;
  const before = await stops();
  await page.click(`${one} [data-act=continue]`);
  while (await stops() === before) await page.waitForTimeout(100);
  await page.waitForSelector(one);
});

await check('the page forgets the token on request', async () => {
  await page.click('#forget');
  await page.waitForSelector('#token');
  assert.equal(await page.locator('.one, .agent, .chart').count(), 0);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.reload();
  await page.waitForSelector('#token');
});

await check('no errors in the console, no policy violation, no request elsewhere', () => {
  assert.deepEqual(complaints, []);
  assert.deepEqual(elsewhere, []);
});

await browser.close();
await end();
for (const server of [gateway, board]) { server.closeAllConnections(); server.close(); }
rmSync(folder, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
