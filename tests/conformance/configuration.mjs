// Prints the configuration of a gateway for the conformance tests, as its release wants it.
//
//   node configuration.mjs RELEASE GATEWAY_PORT MODEL_PORT TOKEN FOLDER AGENT[,AGENT…]
//
// A release that gets an unknown key does not start. `needs` below is what a release has to be given so that the runtime can use
// it; docs/gateways.md lists it. The rest keeps the tests quick and on this machine.

const numbers = (release) => release.split(".").map(Number);

function isSince(release, first) {
  const [one, other] = [numbers(release), numbers(first)];
  const at = one.findIndex((number, index) => number !== other[index]);
  return at < 0 || one[at] > other[at];
}

// Releases whose history no client can read with the token alone.
const CLOSED_HISTORY = ["2026.2.19", "2026.3.31", "2026.4.15"];

export function needs(release) {
  const needed = ["gateway.http.endpoints.responses.enabled: true"];
  if (CLOSED_HISTORY.includes(release)) needed.push('tools.alsoAllow: ["sessions_list", "sessions_history"]');
  if (isSince(release, "2026.6.11")) needed.push("tools.toolSearch: false");
  if (!isSince(release, "2026.8.2")) needed.push('agents.defaults.heartbeat.every: "0m"');
  needed.push(isSince(release, "2026.9.6") ? "agents.entries" : "agents.list, one with default: true");
  return needed;
}

export function configuration(release, { port, model, token, folder, agents }) {
  const history = CLOSED_HISTORY.includes(release) ? ["sessions_list", "sessions_history"] : [];
  return {
    gateway: {
      mode: "local",
      bind: "loopback",
      port,
      auth: { mode: "token", token },
      http: { endpoints: { responses: { enabled: true } } },
    },
    update: { checkOnStart: false },
    discovery: { mdns: { mode: "off" } },
    plugins: { enabled: false },
    tools: {
      profile: "minimal",
      alsoAllow: ["exec", "process", ...history],
      exec: { host: "gateway", security: "full", ask: "off" },
      ...(isSince(release, "2026.6.11") ? { toolSearch: false } : {}),
    },
    models: {
      mode: "merge",
      ...(isSince(release, "2026.8.2") ? { catalogRefresh: { enabled: false } } : {}),
      providers: {
        mock: {
          baseUrl: `http://127.0.0.1:${model}/v1`,
          apiKey: "none",
          api: "openai-completions",
          models: [
            {
              id: "mock-1",
              name: "Mock",
              reasoning: false,
              input: ["text"],
              contextWindow: 128000,
              maxTokens: 4096,
              cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
            },
          ],
        },
      },
    },
    agents: {
      defaults: {
        workspace: `${folder}/workspace`,
        skipBootstrap: true,
        model: { primary: "mock/mock-1" },
        maxConcurrent: 4,
        timeoutSeconds: 60,
        heartbeat: { every: "0m" },
      },
      ...(isSince(release, "2026.9.6")
        ? { entries: Object.fromEntries(agents.map((id) => [id, {}])) }
        : { list: agents.map((id, index) => (index === 0 ? { id, default: true } : { id })) }),
    },
  };
}

if (import.meta.main) {
  const [release, port, model, token, folder, agents] = process.argv.slice(2);
  const given = { port: Number(port), model: Number(model), token, folder, agents: agents.split(",") };
  console.log(JSON.stringify(configuration(release, given), null, 2));
}
