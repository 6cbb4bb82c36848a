// Joins what one release did in the rehearsal and in the tests that control its process, and stores the result for
// docs/gateways.md. A result with a case that is worse than the release permits is reported and not stored.
//
//   node results.mjs check REHEARSAL                                  prints each case that differs
//   node results.mjs store RELEASE RUNTIME_VERSION REHEARSAL CASES FILE

import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { needs } from "./configuration.mjs";

const read = (path) => JSON.parse(readFileSync(path, "utf8"));

function check(rehearsal) {
  for (const found of rehearsal.cases.filter((one) => one.differs)) {
    console.log(`FAIL  ${found.case} (${found.title}): ${found.result}, ${found.sentence}`);
  }
  return rehearsal.go;
}

function store(release, runtime, rehearsal, own, path) {
  const lines = existsSync(own) ? readFileSync(own, "utf8").split("\n").filter((line) => line !== "") : [];
  const columns = ({ case: id, title, result, possible, sentence }) => ({ case: id, title, result, possible, sentence });
  const { behaviour, history } = rehearsal.gateway;
  const result = {
    release,
    date: new Date().toISOString().slice(0, 10),
    runtime,
    needs: needs(release),
    behaviour,
    history,
    cases: [...rehearsal.cases, ...lines.map((line) => JSON.parse(line))].map(columns),
  };
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`== stored ${path}`);
}

const [command, ...rest] = process.argv.slice(2);
if (command === "check") {
  process.exit(check(read(rest[0])) ? 0 : 1);
} else if (command === "store") {
  const [release, runtime, rehearsal, own, path] = rest;
  if (!check(read(rehearsal))) process.exit(1);
  store(release, runtime, read(rehearsal), own, path);
}
