// The official npm client subscribes to the embedded Mission Control over its WebSocket. It needs what `convex-client.mjs`
// needs. One line per check; the last line counts; the exit code is 0 only if all passed.

import assert from 'node:assert/strict';
import { ConvexClient, ConvexHttpClient } from 'convex/browser';
import { anyApi } from 'convex/server';

const { CONVEX_URL, ACCOUNT_ID, SERVICE_TOKEN, ADMIN_KEY, REDACTED } = process.env;
for (const [name, value] of Object.entries({ CONVEX_URL, ACCOUNT_ID, SERVICE_TOKEN, ADMIN_KEY })) {
  if (!value) { console.error(`${name} is not set; \`mission-control-runtime local\` prints it`); process.exit(2); }
}

let passed = 0;
let failed = 0;
async function check(name, run) {
  try {
    const note = await run();
    passed++;
    console.log(`ok    ${name}${note ? ` (${note})` : ''}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${String(error.message).split('\n').slice(0, 6).join(' | ').replaceAll(SERVICE_TOKEN, '***')}`);
  }
}

/** Notes every result of a subscription. `next` waits for one that fits. */
class Results {
  #all = [];
  #waiting = [];
  constructor(client, query, args) {
    this.unsubscribe = client.onUpdate(query, args, value => this.#note({ value }), error => this.#note({ error }));
  }
  #note(result) {
    this.#all.push(result);
    this.#waiting.splice(0).forEach(check => check());
  }
  get count() { return this.#all.length; }
  async next(fits, what) {
    const until = Date.now() + 60_000;
    for (;;) {
      const found = this.#all.find(fits);
      if (found) return found;
      const left = until - Date.now();
      assert.ok(left > 0, `${what} does not come: ${JSON.stringify(this.#all.map(one => one.value ?? String(one.error)))}`);
      await new Promise(resolve => { this.#waiting.push(resolve); setTimeout(resolve, left); });
    }
  }
}

const quiet = { logger: false, unsavedChangesWarning: false };
const pass = { accountId: ACCOUNT_ID, serviceToken: SERVICE_TOKEN };
const account = { accountId: ACCOUNT_ID };
const person = new ConvexHttpClient(CONVEX_URL);
person.setAdminAuth(ADMIN_KEY);
const runtime = new ConvexClient(CONVEX_URL, quiet);
const page = new ConvexClient(CONVEX_URL, quiet);
const wake = anyApi.service.wake.changed;

const agents = await person.action(anyApi.service.actions.listAgents, pass);
const undelivered = () => person.action(anyApi.service.actions.listUndeliveredNotifications, { ...pass, limit: 500 });
for (const row of await undelivered()) await person.action(anyApi.service.actions.markNotificationDelivered, { ...pass, notificationId: row._id });

let taskId;
let before;
let values;

await check('the wake query answers a number', async () => {
  values = new Results(runtime, wake, pass);
  before = (await values.next(one => typeof one.value === 'number', 'a value')).value;
  assert.equal(before, 0);
});

await check('a new notification changes it', async () => {
  taskId = await person.mutation(anyApi.tasks.create, { ...account, title: 'By a subscriber' });
  const began = Date.now();
  await person.mutation(anyApi.tasks.assign, { ...account, taskId, assignedAgentIds: [agents[0]._id] });
  const { value } = await values.next(one => one.value > before, 'a new value');
  assert.ok(Math.abs(value - Date.now()) < 60_000, `${value}`);
  return `after ${Date.now() - began} ms`;
});

await check('its delivery changes it back, and nothing else changes it', async () => {
  const count = values.count;
  const tasks = new Results(page, wake, pass);
  await tasks.next(one => one.value > 0, 'the value');
  await person.mutation(anyApi.tasks.update, { ...account, taskId, title: 'Another title' });
  assert.equal(values.count, count);
  for (const row of await undelivered()) await person.action(anyApi.service.actions.markNotificationDelivered, { ...pass, notificationId: row._id });
  await tasks.next(one => one.value === 0, 'the value 0');
});

await check('a wrong token fails the query, not the connection, and is not repeated', async () => {
  const wrong = `mc_service_${ACCOUNT_ID}_wrongwrongwrong`;
  const refused = new Results(runtime, wake, { ...pass, serviceToken: wrong });
  const { error } = await refused.next(one => one.error, 'an error');
  assert.ok(error.message.includes('Server Error') && !error.message.includes(wrong), error.message);
  assert.equal(error.message.includes('Invalid service token'), !REDACTED, error.message);
  refused.unsubscribe();
  assert.equal(runtime.client.connectionState().isWebSocketConnected, true);
});

await check('a person’s query needs the admin key, and follows the board with it', async () => {
  const closed = new Results(page, anyApi.tasks.get, { ...account, taskId });
  await closed.next(one => one.error, 'a refusal');
  page.setAdminAuth(ADMIN_KEY);
  await closed.next(one => one.value?.title === 'Another title', 'the task');
  await person.mutation(anyApi.tasks.update, { ...account, taskId, title: 'A third title' });
  await closed.next(one => one.value?.title === 'A third title', 'the change');
  closed.unsubscribe();
});

await check('mutations and actions are refused here, and run over HTTP', async () => {
  await assert.rejects(page.mutation(anyApi.tasks.remove, { ...account, taskId }), /over HTTP only/);
  await assert.rejects(page.action(anyApi.service.actions.listAgents, pass), /over HTTP only/);
  await person.mutation(anyApi.tasks.remove, { ...account, taskId });
});

await check('a quiet connection stays', async () => {
  // Longer than the interval of pings.
  await new Promise(resolve => setTimeout(resolve, 18_000));
  for (const client of [runtime, page]) {
    const state = client.client.connectionState();
    assert.deepEqual([state.isWebSocketConnected, state.connectionCount, state.connectionRetries], [true, 1, 0]);
  }
});

await runtime.close();
await page.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
