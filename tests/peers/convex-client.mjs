// The official npm client talks to the embedded Mission Control. It needs a running `mission-control-runtime local`
// with the demo, and what that prints:
//
//   CONVEX_URL=http://… ACCOUNT_ID=… SERVICE_TOKEN=… ADMIN_KEY=… node tests/peers/convex-client.mjs
//
// and the package `convex`; `make test-peers` brings all of it together. REDACTED=yes if the server was started with
// `--redact`. Only the HTTP client: `convex-subscriptions.mjs` has the WebSocket one. One line per check; the last line counts; the exit code is 0 only if all passed.

import assert from 'node:assert/strict';
import { ConvexHttpClient } from 'convex/browser';
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

/** What the client throws. Whatever the reason is: no token in it. */
async function refusal(promise) {
  let error;
  try { await promise; } catch (thrown) { error = thrown; }
  assert.ok(error instanceof Error, 'it was not refused');
  assert.ok(!error.message.includes(SERVICE_TOKEN) && !error.message.includes(ADMIN_KEY), 'a secret is in the message');
  return error;
}

/** A function's error: the platform's first line, then the reason, or nothing on a deployment that redacts. */
async function refused(promise, reason) {
  const error = await refusal(promise);
  assert.match(error.message, /^\[Request ID: [0-9a-f]{16}\] Server Error/);
  const [, ...rest] = error.message.split('\n');
  if (REDACTED) assert.deepEqual(rest, [], 'a production deployment says no more');
  else if (typeof reason === 'string') assert.equal(rest[0], reason);
  else assert.match(rest.join('\n'), reason);
  assert.equal(error.data, undefined, 'Mission Control throws no structured errors');
}

const service = anyApi.service.actions;
const runtime = new ConvexHttpClient(CONVEX_URL);
const stranger = new ConvexHttpClient(CONVEX_URL);
const person = new ConvexHttpClient(CONVEX_URL);
person.setAdminAuth(ADMIN_KEY);
const pass = { accountId: ACCOUNT_ID, serviceToken: SERVICE_TOKEN };
const account = { accountId: ACCOUNT_ID };

let agents = [];
let taskId;

await check('an action brings the team, numbers as numbers', async () => {
  agents = await runtime.action(service.listAgents, pass);
  assert.ok(agents.length >= 2, `${agents.length} agents (start with --seed demo)`);
  for (const agent of agents) {
    for (const number of [agent._creationTime, agent.createdAt, agent.heartbeatInterval]) assert.equal(typeof number, 'number');
    assert.ok(Number.isInteger(agent.createdAt) && agent.createdAt > 1.6e12, 'an instant in milliseconds');
    assert.match(agent._id, /^[0-9a-z]{31,}$/);
    assert.equal(agent.accountId, ACCOUNT_ID);
    assert.equal(agent.systemSessionKey.split(':').slice(0, 3).join(':'), `system:agent:${agent.slug}`);
  }
  return `${agents.length} agents`;
});

await check('on the wire they are floats', async () => {
  const texts = [];
  const listening = new ConvexHttpClient(CONVEX_URL, { fetch: async (...request) => { const answer = await fetch(...request); texts.push(await answer.clone().text()); return answer; } });
  await listening.action(service.listAgents, pass);
  assert.match(texts[0], /"createdAt":\d+\.0[,}]/);
  assert.match(texts[0], /"_creationTime":\d+\.\d+[,}]/);
});

await check('a function may be named by a text, too', async () => {
  assert.deepEqual(await runtime.action('service/actions:listAgents', pass), agents);
});

await check('what is undefined is left out, nothing is null, yes and no are booleans', async () => {
  assert.ok(Array.isArray(await runtime.action(service.listUndeliveredNotifications, { ...pass, limit: undefined })));
  assert.equal(await runtime.action(service.getPendingUpgrade, pass), null);
  assert.deepEqual(await runtime.action(service.checkAndClearRestartRequested, pass), { restartRequested: false });
});

await check('a mutation with the admin key', async () => {
  taskId = await person.mutation(anyApi.tasks.create, { ...account, title: 'By the npm client', priority: 2, labels: ['ä', '✓', '<b>'], dueDate: 1_800_000_000_000.5 });
  assert.match(taskId, /^[0-9a-z]{31,}$/);
});

await check('a query with the admin key reads it back, text and fractions unharmed', async () => {
  const task = await person.query(anyApi.tasks.get, { ...account, taskId });
  assert.equal(task.title, 'By the npm client');
  assert.deepEqual(task.labels, ['ä', '✓', '<b>']);
  assert.deepEqual([task.priority, task.dueDate, task.status], [2, 1_800_000_000_000.5, 'inbox']);
});

await check('an action changes what a query then shows', async () => {
  await person.mutation(anyApi.tasks.assign, { ...account, taskId, assignedAgentIds: [agents[0]._id] });
  const changed = await runtime.action(service.updateTaskStatusFromAgent, { ...pass, taskId, agentId: agents[0]._id, status: 'in_progress' });
  assert.deepEqual([changed.success, changed.changed, changed.status], [true, true, 'in_progress']);
  assert.equal((await person.query(anyApi.tasks.get, { ...account, taskId })).status, 'in_progress');
});

await check('an application error is thrown in the platform’s form', () =>
  refused(runtime.action(service.updateTaskStatusFromAgent, { ...pass, taskId, agentId: agents[0]._id, status: 'done' }),
    'Uncaught Error: Forbidden: Task must be in review before marking done'));

await check('a wrong token is refused, and not repeated to the caller', () =>
  refused(runtime.action(service.listAgents, { ...pass, serviceToken: `mc_service_${ACCOUNT_ID}_wrong` }), 'Uncaught Error: Invalid service token'));

await check('arguments: a missing field', () =>
  refused(runtime.action(service.listAgents, account), /^ArgumentValidationError: Object is missing the required field `serviceToken`/));

await check('arguments: an extra field', () =>
  refused(runtime.action(service.listAgents, { ...pass, extra: 1 }), /^ArgumentValidationError: Object contains extra field `extra`/));

await check('arguments: an id of another table', () =>
  refused(person.query(anyApi.tasks.get, { ...account, taskId: agents[0]._id }), /^ArgumentValidationError: Found ID "[0-9a-z]+" from table `agents`/));

await check('arguments: null is not the same as absent', () =>
  refused(runtime.action(service.listUndeliveredNotifications, { ...pass, limit: null }), /^ArgumentValidationError: Value does not match validator\.\nPath: \.limit\nValue: null\n/));

await check('arguments: a 64-bit integer is no number', () =>
  refused(runtime.action(service.listUndeliveredNotifications, { ...pass, limit: 5n }), /^ArgumentValidationError: Value does not match validator\.\nPath: \.limit\n/));

await check('a function that is not there', () =>
  refused(runtime.action(service.noSuchFunction, pass), /^Could not find public function for 'service\/actions:noSuchFunction'/));

await check('a query that is called as a mutation', () =>
  refused(person.mutation(anyApi.tasks.get, { ...account, taskId }), 'Trying to execute tasks.js:get as Mutation, but it is defined as Query.'));

await check('without the admin key a person’s functions are closed', async () => {
  await refused(stranger.query(anyApi.tasks.get, { ...account, taskId }), /^Uncaught Error: Unauthenticated/);
  await refused(stranger.mutation(anyApi.tasks.remove, { ...account, taskId }), /^Uncaught Error: Unauthenticated/);
});

await check('a wrong admin key is a system error: its JSON is thrown as it came', async () => {
  const wrong = new ConvexHttpClient(CONVEX_URL);
  wrong.setAdminAuth('not-the-admin-key');
  const error = await refusal(wrong.query(anyApi.tasks.get, { ...account, taskId }));
  assert.equal(JSON.parse(error.message).code, 'BadDeployKey');
});

await check('so is a user’s token: there are no users to log in as', async () => {
  const user = new ConvexHttpClient(CONVEX_URL, { auth: 'e30.e30.e30' });
  const error = await refusal(user.query(anyApi.tasks.get, { ...account, taskId }));
  assert.equal(JSON.parse(error.message).code, 'InvalidAuthHeader');
});

await check('many at once, each with its own answer', async () => {
  const began = Date.now();
  const contents = Array.from({ length: 40 }, (_, n) => `message ${n} of the npm client`);
  const answers = await Promise.all(contents.map((content, n) => n % 2
    ? runtime.action(service.createMessageFromAgent, { ...pass, taskId, agentId: agents[0]._id, content })
    : person.mutation(anyApi.messages.create, { ...account, taskId, content }, { skipQueue: n % 4 === 0 })));
  assert.equal(answers.length, contents.length);
  const thread = await runtime.action(service.listTaskThreadForAgentTool, { ...pass, taskId, agentId: agents[0]._id, limit: 200 });
  assert.deepEqual(thread.map(one => one.content).sort(), contents.toSorted(), 'each one once');
  return `${contents.length} messages in ${Date.now() - began} ms`;
});

await check('what was made is removed again', async () => {
  await person.mutation(anyApi.tasks.remove, { ...account, taskId });
  const tasks = await person.query(anyApi.tasks.list, account);
  assert.ok(tasks.length > 0 && !tasks.some(task => task._id === taskId));
});

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
