// The model of the real gateway in the conformance tests. It follows directives in the message.
//
//   node mock-model.mjs [PORT]        prints the port of 127.0.0.1 on which it listens
//
// With MOCK_REQUESTS=FILE, every request is appended to that file as a line of JSON. The directive `QUOTE words` answers with
// the first line of the gateway's own instructions that has these words: what the agent read in its workspace. `BOARD endpoint
// {json}` calls the board from the gateway's shell, as the briefing describes.
//
// It implements the part of OpenAI's chat completions that the gateway uses (always as a stream), and the directives of
// `Directives` in crates/gateway-sim/src/gateway/directives.rs, so that the same tests run against either gateway.

import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const PREAMBLE = "One moment, I look it up.";
let calls = 0;

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// The text that the gateway adds to the client's: its own notes, the time before the text, and a line about the run after it.
function clientsWords(content) {
  const parts = typeof content === "string" ? [content] : (content ?? []).map((part) => part.text ?? "");
  let text = parts.join("\n");
  for (;;) {
    const begin = text.indexOf("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>");
    const end = text.indexOf("<<<END_OPENCLAW_INTERNAL_CONTEXT>>>");
    if (begin < 0 || end < begin) break;
    text = text.slice(0, begin) + text.slice(end + "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>".length);
  }
  text = text.replace(/^\s*\[\w{3} \d{4}-\d\d-\d\d \d\d:\d\d [^\]]*\] /, "");
  const about = text.lastIndexOf("\n\nRuntime: agent=");
  if (about >= 0) text = text.slice(0, about);
  // The gateway, not the client, writes the reminder after an empty answer and the note after a restart.
  return /^(The previous (attempt|assistant turn)\b|\[System\] Your previous turn was interrupted)/.test(text) ? "" : text.trim();
}

// Whether a message has nothing but a note of the gateway.
function isOwnNote(content) {
  const text = typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join("\n");
  return text.trimStart().startsWith("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>") && clientsWords(content) === "";
}

// The text after a word that is bounded by blanks.
function behind(text, word) {
  const found = new RegExp(`(?<![\\p{L}\\p{N}_])${word}(?![\\p{L}\\p{N}_])`, "u").exec(text);
  return found ? text.slice(found.index + word.length) : undefined;
}

const number = (text, word) => Number.parseInt(behind(text, word) ?? "0", 10) || 0;
const line = (text) => text.replace(/^ /, "").split("\n")[0];

// The JSON object at the beginning of a text.
function leadingObject(text) {
  const start = text.trimStart();
  for (let end = start.indexOf("}"); start.startsWith("{") && end >= 0; end = start.indexOf("}", end + 1)) {
    try {
      return JSON.stringify(JSON.parse(start.slice(0, end + 1)));
    } catch {
      // This brace was not the last one.
    }
  }
  return "{}";
}

// A command for the gateway's shell that calls the board as the briefing describes.
function boardCall(messages, words) {
  const [, endpoint, body] = /^ (\S+) ([\s\S]*)$/.exec(words) ?? [];
  const briefing = messages.map(({ content }) => (typeof content === "string" ? content : JSON.stringify(content))).join("\n");
  const [, base, headers] = /Call Mission Control over HTTP: `POST (\S+?)\/agent\/…`([\s\S]*?) authenticate/.exec(briefing) ?? [];
  if (base === undefined) return [];
  const given = [...headers.matchAll(/`([^`]+: [^`]+)`/g)].map(([, header]) => `-H '${header}'`).join(" ");
  const command = `curl -sS -X POST '${base}/agent/${endpoint}' -H 'Content-Type: application/json' ${given} -d '${leadingObject(body)}'`;
  return [{ name: "exec", arguments: JSON.stringify({ command }) }];
}

function wantedCalls(text, offered) {
  const found = [];
  for (let rest = behind(text, "CALL"); rest !== undefined; rest = behind(rest, "CALL")) {
    const [, name, tail] = /^ (\S*)([\s\S]*)$/.exec(rest) ?? [undefined, "", rest];
    if (offered.has(name)) found.push({ name, arguments: leadingObject(tail) });
    rest = tail;
  }
  return found;
}

// The message to answer in a briefing: after the structural line and the heading.
function messageToAnswer(text) {
  const at = text.lastIndexOf(" message to answer>>\n");
  const open = at < 0 ? -1 : text.lastIndexOf("<<", at);
  if (open < 0) return undefined;
  const heading = text.indexOf("\n", at) + 1;
  const begin = text.indexOf("\n", heading) + 1;
  const end = text.indexOf(`\n<<${text.slice(open + 2, at)} end>>`, begin - 1);
  return begin > 0 && end >= begin ? text.slice(begin, end) : undefined;
}

// The directives of the message for this turn: the part after as many rounds of its calls as the session shows. Results that a
// client sends twice make no further round.
function wantedNow(messages) {
  const briefing = (message) => (message.role === "user" ? messageToAnswer(clientsWords(message.content)) : undefined);
  const at = messages.findLastIndex((message) => briefing(message) !== undefined);
  if (at < 0) return undefined;
  const wanted = briefing(messages[at]);
  const names = new Set([...wanted.matchAll(/CALL (\S+)/g)].map(([, name]) => name));
  const isRound = (message) => message.role === "assistant" && message.tool_calls?.some((call) => names.has(call.function.name));
  return wanted.split("THEN")[messages.slice(at + 1).filter(isRound).length]?.trim();
}

// A text of this many characters, in numbered lines of 80.
const long = (chars) =>
  Array.from({ length: Math.floor(chars / 80) + 1 }, (_, line) => `${String(line).padEnd(79, ".")}\n`)
    .join("")
    .slice(0, chars);

// The first line of the gateway's instructions that has these words.
function quoted(messages, words) {
  const instructions = messages.filter((message) => message.role === "system" || message.role === "developer");
  const lines = instructions.flatMap(({ content }) => (typeof content === "string" ? content : content.map((part) => part.text ?? "").join("\n")).split("\n"));
  return lines.find((line) => line.includes(words)) ?? `NOT FOUND: ${words}`;
}

async function complete(request, response) {
  const messages = request.messages ?? [];
  if (process.env.MOCK_REQUESTS) appendFileSync(process.env.MOCK_REQUESTS, `${JSON.stringify(request)}\n`);
  const users = messages.filter((message) => message.role === "user").map((message) => clientsWords(message.content));
  const said = users.filter((words) => words !== "");
  const text = wantedNow(messages) ?? said.at(-1) ?? "";
  const refused = behind(text, "FAIL");
  await pause(number(text, "DELAY"));
  if (refused !== undefined) {
    const [status, ...words] = line(refused).split(" ");
    response.writeHead(Number(status), { "content-type": "application/json" });
    response.end(JSON.stringify({ error: { message: words.join(" "), type: "mock_error" } }));
    return;
  }
  if (behind(text, "HANG") !== undefined) return;
  if (behind(text, "DROP") !== undefined) {
    response.destroy();
    return;
  }

  const offered = new Set((request.tools ?? []).map((tool) => tool.function?.name));
  let answer = "";
  let wanted = [];
  // `AGAIN n` uses one of the gateway's own tools n times before the answer.
  const since = messages.findLastIndex((message) => message.role === "user" && !isOwnNote(message.content));
  const results = messages.slice(since + 1).filter((message) => message.role === "tool").length;
  const again = number(text, "AGAIN");
  // The gateway adds notes of its own behind the result of one of its tools.
  const last = messages.findLast((message) => message.role !== "user" || !isOwnNote(message.content));
  if (again > results) {
    wanted = [{ name: "session_status", arguments: "{}" }];
  } else if (last?.role === "tool" && again === 0) {
    const words = behind(text, "BOARD") === undefined ? undefined : behind(text, "SAY");
    answer = words === undefined ? `TOOL_RESULT: ${last.content}` : line(words);
  } else {
    const board = behind(text, "BOARD");
    wanted = board === undefined ? wantedCalls(text, offered) : boardCall(messages, board);
    if (wanted.length > 0) answer = behind(text, "PREAMBLE") === undefined ? "" : PREAMBLE;
    else if (behind(text, "EMPTY") === undefined) {
      const words = behind(text, "SAY");
      const quote = behind(text, "QUOTE");
      if (words !== undefined) answer = line(words);
      else if (quote !== undefined) answer = quoted(messages, line(quote));
      else answer = behind(text, "LONG") === undefined ? `ECHO: ${text}` : long(number(text, "LONG"));
    }
  }
  let finish = behind(text, "LENGTH") === undefined ? "stop" : "length";
  if (wanted.length > 0) finish = "tool_calls";

  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (delta, finish_reason, usage) => {
    const choice = { index: 0, delta, finish_reason: finish_reason ?? null };
    const chunk = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 0, model: request.model, choices: [choice] };
    response.write(`data: ${JSON.stringify({ ...chunk, ...(usage ? { usage } : {}) })}\n\n`);
  };
  send({ role: "assistant", content: "" });
  for (const word of answer.match(/\s*\S+/g) ?? []) {
    if (response.destroyed) return;
    send({ content: word });
    await pause(number(text, "DRIP"));
  }
  wanted.forEach((call, index) => {
    calls += 1;
    send({ tool_calls: [{ index, id: `call_${calls}`, type: "function", function: call }] });
  });
  send({}, finish, { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 });
  response.end("data: [DONE]\n\n");
}

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    if (request.method !== "POST") {
      response.end("{}");
      return;
    }
    complete(JSON.parse(Buffer.concat(parts).toString()), response).catch((why) => {
      console.error(why);
      response.destroy();
    });
  });
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => console.log(server.address().port));
