// Runs `openclaw/convex/wake.ts`, type-checked and compiled beside a part of the backend's schema, against rows in memory.
// `tests/peers/run.sh client` prepares the folder. One line per check; the exit code is 0 only if all passed.

import assert from 'node:assert/strict';
import { changed } from './backend/built/convex/service/wake.js';

let failed = 0;
async function check(name, run) {
  try {
    await run();
    console.log(`ok    ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${error.message}`);
  }
}

/** A database with an account `a` and these notifications. It notes what is read. */
function database(notifications) {
  const read = [];
  const db = {
    get: async id => { read.push('accounts'); return id === 'a' || id === 'b' ? { _id: id } : null; },
    query: table => ({
      withIndex: (index, range) => {
        const fields = {};
        const builder = { eq: (field, value) => { fields[field] = value; return builder; } };
        range(builder);
        return {
          order: direction => ({
            first: async () => {
              read.push(`${table}.${index} ${direction}`);
              const rows = notifications.filter(row => Object.entries(fields).every(([field, value]) => row[field] === value));
              const newest = (one, other) => other.createdAt - one.createdAt || other._creationTime - one._creationTime;
              return rows.sort(newest)[0] ?? null;
            },
          }),
        };
      },
    }),
  };
  return { db, read };
}

const row = (createdAt, creationTime, more = {}) => ({ accountId: 'a', recipientType: 'agent', createdAt, _creationTime: creationTime, ...more });
const value = (notifications, args = { accountId: 'a', serviceToken: 'a' }) => changed._handler(database(notifications), args);

await check('without undelivered rows of agents the value is 0', async () => {
  assert.equal(await value([]), 0);
  assert.equal(await value([row(5, 5.1, { deliveredAt: 6 }), row(5, 5.2, { recipientType: 'user' }), row(5, 5.3, { accountId: 'b' })]), 0);
});

await check('each new row changes the value, also within a millisecond', async () => {
  assert.equal(await value([row(5, 5.1)]), 5.1);
  assert.equal(await value([row(5, 5.1), row(5, 5.2)]), 5.2);
});

await check('a row that a message is folded into changes the value', async () => {
  assert.equal(await value([row(5, 5.1), row(9, 4.1)]), 9);
});

await check('the query reads the account and one row of the index', async () => {
  const { db, read } = database([row(5, 5.1), row(6, 6.1)]);
  await changed._handler({ db }, { accountId: 'a', serviceToken: 'a' });
  assert.deepEqual(read, ['accounts', 'notifications.by_account_undelivered_created desc']);
});

await check('a wrong token, and the token of another account, are refused', async () => {
  await assert.rejects(value([], { accountId: 'a', serviceToken: 'x' }), /Invalid service token/);
  await assert.rejects(value([], { accountId: 'a', serviceToken: 'b' }), /Forbidden/);
});

await check('the query is public and takes exactly the two arguments', async () => {
  assert.ok(changed.isQuery && changed.isPublic);
  const args = JSON.parse(changed.exportArgs());
  assert.deepEqual(Object.keys(args.value).sort(), ['accountId', 'serviceToken']);
});

process.exit(failed ? 1 : 0);
