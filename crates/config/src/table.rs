//! The table of every variable. The parser, `.env.example`, the tables in `docs/` and `doctor` derive from it.
//!
//! A new variable is a new row here, and a line in `settings.rs` that reads it. This file may be long for that reason.

use super::variable::{Before, Effect, Fallback, Kind, ReadBy, Section, Variable};

/// The longest interval that makes sense between two steps: one day.
const DAY_MS: u64 = 86_400_000;

/// The backend refuses longer tokens.
pub(super) const SERVICE_TOKEN_CHARS_MAX: usize = 512;

/// The longest key of another kind: longer than any provider issues, short enough for one header line.
const KEY_CHARS_MAX: usize = 4096;

/// Below this limit, the gateway's own silent retries look like a stuck turn.
pub(super) const QUIET_GATEWAY_MS: u64 = 300_000;

/// The longest command with its arguments.
pub(super) const COMMAND_CHARS_MAX: usize = 4_000;

/// The longest version or droplet name. Every status report contains them.
const NAME_CHARS_MAX: usize = 200;

/// The defaults of a row.
const PLAIN: Variable = Variable {
    name: "",
    aliases: &[],
    section: Section::Operation,
    kind: Kind::Text { chars_max: NAME_CHARS_MAX },
    fallback: Fallback::Unset("not set"),
    blank: None,
    read_by: ReadBy::Runtime,
    common: false,
    effect: Effect::Full,
    about: "",
    before: None,
};

/// A key that only the gateway container reads.
const CONTAINER_KEY: Variable = Variable {
    section: Section::Container,
    kind: Kind::Secret { chars_max: KEY_CHARS_MAX },
    read_by: ReadBy::Gateway,
    common: true,
    ..PLAIN
};

/// A variable of a pool's worker.
const WORKER_ROW: Variable =
    Variable { section: Section::Worker, read_by: ReadBy::Worker, common: true, ..PLAIN };

/// A variable of the bridge to a consumer's application.
const BRIDGE_ROW: Variable = Variable { section: Section::Worker, common: true, ..PLAIN };

/// The variables of a section, in the order of the documents.
pub fn variables_of(section: Section) -> impl Iterator<Item = &'static Variable> {
    TABLE.iter().copied().filter(move |variable| variable.section == section)
}

/// Defines a static for each row, and [`TABLE`] with all rows in the same order.
macro_rules! variables {
    ($($name:ident { $($fields:tt)* })*) => {
        $(
            #[doc = concat!("The row of `", stringify!($name), "`.")]
            pub static $name: Variable = Variable { name: stringify!($name), $($fields)* };
        )*

        /// Every variable, in the order of the documents.
        pub static TABLE: &[&Variable] = &[$(&$name),*];
    };
}

variables! {
    ACCOUNT_ID {
        section: Section::Account,
        kind: Kind::Identifier,
        fallback: Fallback::Required,
        about: "The account this runtime serves; the service token must belong to the same account.",
        ..PLAIN
    }
    CONVEX_URL {
        section: Section::Account,
        kind: Kind::Url { example: "https://happy-otter-123.convex.cloud" },
        fallback: Fallback::Required,
        about: "The address of the Mission Control backend (the `.convex.cloud` one, not `.convex.site`).",
        ..PLAIN
    }
    SERVICE_TOKEN {
        section: Section::Account,
        kind: Kind::Secret { chars_max: SERVICE_TOKEN_CHARS_MAX },
        fallback: Fallback::Required,
        about: "The key for every backend call, as the dashboard issues it: `mc_service_{accountId}_{secret}`.",
        ..PLAIN
    }
    SSL_CERT_FILE {
        section: Section::Account,
        kind: Kind::Path,
        fallback: Fallback::Unset("the system's certificates, else bundled ones"),
        common: true,
        about: "A PEM file with the certificate authorities to trust for `https` addresses.",
        ..PLAIN
    }

    HEALTH_HOST {
        section: Section::Server,
        kind: Kind::Host,
        fallback: Fallback::Value("127.0.0.1"),
        about: "The address on which the HTTP server listens (`/health`, `/agent/*`). `0.0.0.0` or `::` means every interface.",
        ..PLAIN
    }
    HEALTH_PORT {
        section: Section::Server,
        kind: Kind::Port,
        fallback: Fallback::Value("3001"),
        about: "The port of the HTTP server; 0 selects a free one.",
        before: Some(Before {
            there: "`3000`, any number",
            why: "the former README and container example already document 3001. If a published port or a health check \
                  uses 3000, change it, or set `HEALTH_PORT=3000`.",
        }),
        ..PLAIN
    }
    TASK_STATUS_BASE_URL {
        section: Section::Server,
        kind: Kind::Url { example: "http://runtime:3001" },
        fallback: Fallback::Derived("`http://{HEALTH_HOST}:{HEALTH_PORT}`, with the loopback address if the server listens on every interface"),
        about: "The URL at which agents reach this runtime. Their prompts contain it.",
        before: Some(Before {
            there: "the same with port 3000; any scheme; IPv6 hosts without brackets",
            why: "it follows `HEALTH_PORT`; agents can only use http or https; `http://::1:3000` was not a valid address.",
        }),
        ..PLAIN
    }
    AGENT_API {
        section: Section::Server,
        kind: Kind::Choice { options: &["auto", "on", "off"], synonyms: &[] },
        fallback: Fallback::Value("auto"),
        about: "Whether agents may call tools over HTTP (`/agent/*`): with `auto` only where they have no function tools, because those are off or the gateway is too old. `/agent/wake` and `/agent/event` are not tools and stay open, also with `off`.",
        before: Some(Before {
            there: "no such variable: the endpoints were always open",
            why: "an agent with function tools does not need a second way to change the board. Scripts that call `/agent/*` need `on`.",
        }),
        ..PLAIN
    }
    AGENT_API_ALLOW {
        section: Section::Server,
        kind: Kind::Text { chars_max: 1_000 },
        fallback: Fallback::Unset("this machine only"),
        about: "The networks, besides this machine, from which agents may call `/agent/*`, separated by commas: for example `172.18.0.0/16,fd00::/8`.",
        before: Some(Before {
            there: "no such variable: every private IPv4 address counted as local",
            why: "a process that reaches the address and guesses a session key can act as its agent. If the gateway runs in another container, add its network.",
        }),
        ..PLAIN
    }
    OPERATOR_API_ALLOW {
        section: Section::Server,
        kind: Kind::Text { chars_max: 1_000 },
        fallback: Fallback::Unset("this machine only"),
        about: "The networks, besides this machine, from which the runtime's page and other programs may call the operator API, separated by commas. Each call needs the operator token as well. A container needs it: requests through a published port come from the address of the Docker network.",
        ..PLAIN
    }
    AGENT_API_TOKENS {
        section: Section::Server,
        kind: Kind::Boolean,
        fallback: Fallback::Value("true"),
        about: "Whether calls to `/agent/*` need the token of the session in addition to its key. The runtime generates the token and states it in the briefing. With `false`, only this machine may call: `HEALTH_HOST` must be a loopback address, and `AGENT_API_ALLOW` must not name other networks.",
        before: Some(Before {
            there: "no such variable: the key alone was enough",
            why: "session keys consist of public parts and can be guessed. Agents find the token in their briefing; a script without it gets 401.",
        }),
        ..PLAIN
    }
    BOARD_URL {
        section: Section::Server,
        kind: Kind::Url { example: "https://mission-control.example.com" },
        fallback: Fallback::Unset("no links"),
        about: "The address at which people open Mission Control in their browsers. The runtime's page then links to it, and each task title to the page of the task. A Mission Control other than the embedded one opens its start page.",
        ..PLAIN
    }
    RECEIVE_MEMORY_MB {
        section: Section::Server,
        kind: Kind::Integer { min: 64, max: 65_536, why: "the largest messages of each kind need 64 MiB together, and 64 GiB is more than any machine this runs on can spare" },
        fallback: Fallback::Value("64"),
        about: "The memory in MiB for all large messages together: responses of the gateway and the backend, and request bodies. A message that does not fit waits.",
        before: Some(Before {
            there: "no such variable: memory had no limit",
            why: "ten large responses at once took hundreds of MiB.",
        }),
        ..PLAIN
    }

    OPENCLAW_GATEWAY_URL {
        section: Section::Gateway,
        kind: Kind::Url { example: "http://127.0.0.1:18789" },
        fallback: Fallback::Value("http://127.0.0.1:18789"),
        blank: Some("no gateway: nothing is sent to agents"),
        about: "The URL of the OpenClaw gateway. A blank value means that there is no gateway and nothing is sent to agents.",
        ..PLAIN
    }
    OPENCLAW_COMMAND {
        section: Section::Gateway,
        kind: Kind::Text { chars_max: COMMAND_CHARS_MAX },
        fallback: Fallback::Unset("another program runs the gateway"),
        about: "The command that runs the gateway as a process of the runtime, for example `/opt/openclaw/bin/openclaw gateway run --port 18789`. No shell reads it, and quotes keep blanks together. Only where no unit and no container runs the gateway. See [A gateway that the runtime runs](openclaw-setup.md#a-gateway-that-the-runtime-runs).",
        ..PLAIN
    }
    OPENCLAW_GATEWAY_TOKEN {
        aliases: &["CLAWDBOT_GATEWAY_TOKEN"],
        section: Section::Gateway,
        kind: Kind::Secret { chars_max: KEY_CHARS_MAX },
        fallback: Fallback::Unset("no token; required for a gateway on another host"),
        read_by: ReadBy::Both,
        about: "The bearer token of the gateway. With a token the gateway container listens on the network, otherwise on loopback only.",
        before: Some(Before {
            there: "the word `local` was sent as a token; a blank value disabled the rule for other hosts",
            why: "without a token no `Authorization` header is sent, and blank counts as not set.",
        }),
        ..PLAIN
    }
    OPENCLAW_REQUEST_TIMEOUT_MS {
        section: Section::Gateway,
        kind: Kind::Integer {
            min: 5_000,
            max: DAY_MS,
            why: "less than 5 s would cut off healthy turns, and more than a day would never notice a stuck one",
        },
        fallback: Fallback::Value("900000"),
        about: "Milliseconds without a sign of life after which an agent's turn counts as stuck; a turn itself may take longer. A value below 300000 causes a warning, because the gateway's own retries are silent for three minutes.",
        before: Some(Before {
            there: "`300000`, 5000–600000, for the whole request",
            why: "a turn that shows signs of life is never cut off. Only silence counts, so the limit can be generous.",
        }),
        ..PLAIN
    }
    OPENCLAW_CLIENT_TOOLS_ENABLED {
        section: Section::Gateway,
        kind: Kind::Boolean,
        fallback: Fallback::Value("true"),
        about: "Whether agents get function tools. Without them, their prompts describe the HTTP endpoints.",
        ..PLAIN
    }

    OPENCLAW_SESSION_MAIN_KEY {
        section: Section::Gateway,
        fallback: Fallback::Value("main"),
        about: "The name of an agent's main session at the gateway (`session.mainKey` there). Events of scheduled runs belong to that session.",
        ..PLAIN
    }
    OPENCLAW_SESSION_SCOPE {
        section: Section::Gateway,
        kind: Kind::Choice { options: &["per-sender", "global"], synonyms: &[] },
        fallback: Fallback::Value("per-sender"),
        about: "Whether each agent has its own sessions at the gateway (`session.scope` there), or all agents share one.",
        ..PLAIN
    }

    DELIVERY_INTERVAL {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1_000, max: DAY_MS, why: "polling more often than every second only loads the backend, and a day is as good as off" },
        fallback: Fallback::Value("5000"),
        about: "Milliseconds between two polls for new notifications, as long as polls succeed.",
        before: Some(Before {
            there: "`15000`",
            why: "the former README already documents 5000, and a person who waits for an agent notices ten seconds.",
        }),
        ..PLAIN
    }
    DELIVERY_IDLE_INTERVAL {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1_000, max: DAY_MS, why: "polling more often than every second only loads the backend, and a day is as good as off" },
        fallback: Fallback::Value("15000"),
        about: "Milliseconds between two polls after two minutes without activity; never less than `DELIVERY_INTERVAL`. A longer interval saves backend calls, but the first message after a pause waits for it.",
        before: Some(Before {
            there: "no such variable: one interval at all times",
            why: "an account without activity need not pay for a poll every five seconds. The first message after a pause waits as long as before.",
        }),
        ..PLAIN
    }
    WAKE_QUERY {
        section: Section::Delivery,
        kind: Kind::Choice { options: &["auto", "off"], synonyms: &[] },
        fallback: Fallback::Value("auto"),
        about: "Whether to subscribe to the query `service/wake:changed`, where the backend has it. Then notifications are listed when its value changes, and otherwise every five minutes. Without it, or with `off`, they are polled.",
        before: Some(Before {
            there: "no such variable: polling only",
            why: "a subscription is faster than polling and makes fewer backend calls.",
        }),
        ..PLAIN
    }
    BACKEND_CALLS_MONTHLY {
        section: Section::Delivery,
        kind: Kind::Integer { min: 300_000, max: 1_000_000_000, why: "an idle account with five agents already makes 297,000 calls in 30 days" },
        fallback: Fallback::Value("900000"),
        about: "Intended calls of the backend in 30 days. While people and agents write, notifications are polled every 250 ms. If the calls exceed this rate, they are polled every `DELIVERY_INTERVAL` only, and `/health` says so. Calls that a delivery needs are never delayed.",
        before: Some(Before {
            there: "no such variable",
            why: "frequent polls shorten the way of a message, and a plan of the backend has a limit of calls.",
        }),
        ..PLAIN
    }
    DELIVERY_BACKOFF_BASE_MS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1_000, max: DAY_MS, why: "a failing backend needs a pause of at least a second, and a pause of more than a day is as good as off" },
        fallback: Fallback::Value("5000"),
        about: "The first pause after a failed poll, in milliseconds. Each further failure doubles it, up to `DELIVERY_BACKOFF_MAX_MS`.",
        ..PLAIN
    }
    DELIVERY_BACKOFF_MAX_MS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1_000, max: DAY_MS, why: "the ceiling cannot be below the base, and a pause of more than a day is as good as off" },
        fallback: Fallback::Value("300000"),
        about: "The longest pause after failed polls, in milliseconds; never less than `DELIVERY_BACKOFF_BASE_MS`.",
        ..PLAIN
    }
    DELIVERY_MAX_CONCURRENT_SESSIONS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1, max: 100, why: "at least one turn must be able to run, and each one takes a thread and a connection" },
        fallback: Fallback::Value("10"),
        about: "The number of agent turns that may run at once.",
        ..PLAIN
    }
    DELIVERY_LIST_LIMIT {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1, max: 500, why: "a poll must request at least one, and the backend's response should stay small" },
        fallback: Fallback::Value("50"),
        about: "The number of new notifications that one poll requests; at least four for each worker.",
        ..PLAIN
    }
    DELIVERY_STREAM_TIMEOUT_MS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 5_000, max: 300_000, why: "that is the range of the TypeScript runtime" },
        fallback: Fallback::Derived("2 × `OPENCLAW_REQUEST_TIMEOUT_MS`, at most `300000`"),
        effect: Effect::NoMore("only signs of life count for a turn, see `OPENCLAW_REQUEST_TIMEOUT_MS`"),
        about: "The time limit of a session stream in the TypeScript runtime.",
        ..PLAIN
    }
    DELIVERY_CONTEXT_FETCH_BATCH_SIZE {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1, max: 50, why: "that is the range of the TypeScript runtime" },
        fallback: Fallback::Value("15"),
        effect: Effect::NoMore("each delivery fetches its own context right before use"),
        about: "How many contexts the TypeScript runtime fetched in parallel.",
        ..PLAIN
    }
    DRAIN_TIMEOUT_MS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 0, max: 600_000, why: "no supervisor waits for more than ten minutes" },
        fallback: Fallback::Value("25000"),
        about: "How long running agent turns may continue after a stop signal, in milliseconds. Then they are cut off, and the process ends within ten more seconds. Give the supervisor a longer timeout than both together.",
        before: Some(Before {
            there: "no such variable: running turns were abandoned",
            why: "an answer that is nearly complete is worth some seconds.",
        }),
        ..PLAIN
    }

    TOOL_MAX_ROUNDS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1, max: 50, why: "an agent that calls tools must get their results at least once, and each round is a turn of the model" },
        fallback: Fallback::Value("8"),
        about: "The number of tool rounds in one delivery: the agent calls tools and gets their results.",
        before: Some(Before {
            there: "exactly one round; later calls were ignored",
            why: "real work takes several rounds: read, change, read again.",
        }),
        ..PLAIN
    }
    TOOL_MAX_CALLS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1, max: 500, why: "one call must be possible, and a loop must end" },
        fallback: Fallback::Value("32"),
        about: "The number of tool calls in one delivery. Further calls fail with an error that the agent can read.",
        before: Some(Before {
            there: "no limit",
            why: "an agent in a loop should not work through the whole board.",
        }),
        ..PLAIN
    }

    DELIVERY_MAX_ATTEMPTS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1, max: 1_000, why: "a notification needs one attempt, and its attempts must end" },
        fallback: Fallback::Value("8"),
        about: "The number of failures after which a delivery is given up. Each cause is counted separately. Failures of the model's provider, and backend failures without a reason, may be two and a half times as many. While the gateway or the backend is unreachable, nothing is counted.",
        before: Some(Before {
            there: "no limit: a notification that could not be delivered was retried forever",
            why: "a notification that always fails must not cost a turn of the model every few seconds.",
        }),
        ..PLAIN
    }
    DELIVERY_MAX_TURNS {
        section: Section::Guardrails,
        kind: Kind::Integer { min: 0, max: 1_000_000_000, why: "it is a number of turns, and 0 sets no limit" },
        fallback: Fallback::Value("0"),
        about: "The number of agent turns after which no more are sent: for a trial with a paid model. Tool rounds and retries count. `STATE_DIR` keeps the count across restarts. `0` sets no limit.",
        before: Some(Before {
            there: "no such variable: no limit",
            why: "a trial should have a known price.",
        }),
        ..PLAIN
    }
    DELIVERY_MAX_AGE_MS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 60_000, max: 30 * DAY_MS, why: "an answer after more than a month is of no use, and a provider may take a minute to restart" },
        fallback: Fallback::Value("86400000"),
        about: "The longest time for which a failing delivery is retried, in milliseconds. Time in which the gateway or the backend is unreachable does not count.",
        before: Some(Before { there: "no limit", why: "an answer that comes days later is of no use." }),
        ..PLAIN
    }
    WAKE_ON {
        section: Section::Guardrails,
        kind: Kind::Text { chars_max: 4_000 },
        fallback: Fallback::Value("all"),
        about: "Which notifications wake an agent: `all`, or only those that are `addressed` to it (quiet mode). With `addressed`, thread updates and status changes reach only agents that are mentioned, asked or assigned, and reviewers of a task in review. `SLUG=all` or `SLUG=addressed` after a comma sets the rule for one agent. `status` shows what `addressed` would save.",
        before: Some(Before {
            there: "no such variable: every follower of a task was woken",
            why: "most of these turns bring no answer, and each reads the whole thread.",
        }),
        ..PLAIN
    }
    BUDGET_DAILY_TOKENS {
        section: Section::Guardrails,
        kind: Kind::Text { chars_max: 40 },
        fallback: Fallback::Unset("no limit"),
        about: "How many tokens the turns of all agents may read and write in a day. At the limit running turns are aborted and waiting rows wait for the next day, for `budget raise` or for `budget reset`.",
        before: Some(Before {
            there: "no such variable: no limit",
            why: "a loop of agents can spend a month's money in a night.",
        }),
        ..PLAIN
    }
    BUDGET_DAILY_USD {
        section: Section::Guardrails,
        kind: Kind::Text { chars_max: 40 },
        fallback: Fallback::Unset("no limit"),
        about: "How many dollars the turns of all agents may cost in a day (`12.50`), as the gateway reports them. `BUDGET_PRICES` has the prices where it does not.",
        ..PLAIN
    }
    BUDGET_AGENTS {
        section: Section::Guardrails,
        kind: Kind::Text { chars_max: 4_000 },
        fallback: Fallback::Unset("no limit for a single agent"),
        about: "Daily limits of single agents: `SLUG=TOKENS` or `SLUG=AMOUNTusd`, separated by commas: `writer=200000,qa=5usd`. An agent may have one of each kind. They count within the limits of the account.",
        ..PLAIN
    }
    BUDGET_TIME_ZONE {
        section: Section::Guardrails,
        kind: Kind::Text { chars_max: 60 },
        fallback: Fallback::Value("UTC"),
        about: "The time zone whose midnight begins the day of the budgets: a name of the IANA database, like `Europe/Berlin`.",
        ..PLAIN
    }
    BUDGET_PRICES {
        section: Section::Guardrails,
        kind: Kind::Text { chars_max: 4_000 },
        fallback: Fallback::Unset("none"),
        about: "Prices of models whose cost the gateway does not report: `MODEL=READ/WRITTEN` in dollars per million tokens, separated by commas: `claude-sonnet-5=3/15`. `*` is every other model.",
        ..PLAIN
    }
    DONE_POLICY {
        section: Section::Guardrails,
        kind: Kind::Choice { options: &["warn", "off"], synonyms: &[("none", "off")] },
        fallback: Fallback::Value("warn"),
        about: "Whether operators see a mark on tasks that agents call ready or done although the recorded facts differ: nothing has changed since the assignment, an agent approved its own work, or a failure is open (`warn`, or `off`). The marks stand in `evidence`, `why` and on the page. Nothing is posted, and no call is refused.",
        before: Some(Before { there: "no such variable: a status was never compared with the facts", why: "a person should not have to open each task to see whether something was delivered." }),
        ..PLAIN
    }
    TEAM_TURNS_MAX {
        section: Section::Guardrails,
        kind: Kind::Integer { min: 0, max: 1_000_000, why: "it is a number of turns, and 0 sets no limit" },
        fallback: Fallback::Value("30"),
        about: "The number of turns that agents may cause in a thread after the last message of a person. Further rows that agents cause are skipped. A message of a person, or `dead retry`, brings them back. Progress of the task adds turns (`TEAM_TURNS_PER_PROGRESS`). `0` sets no such limit.",
        before: Some(Before {
            there: "no limit",
            why: "two agents that mention each other never stop by themselves.",
        }),
        ..PLAIN
    }
    TEAM_TURNS_PER_PROGRESS {
        section: Section::Guardrails,
        kind: Kind::Integer { min: 0, max: 1_000, why: "it is a number of turns, and 0 adds none" },
        fallback: Fallback::Value("6"),
        about: "The number of turns that progress adds to `TEAM_TURNS_MAX`: a status that the task did not have since the person wrote, a document with new content, or a pull request that was not linked before. Progress also starts the hand-offs of `TEAM_DEPTH_MAX` again.",
        ..PLAIN
    }
    TEAM_TURNS_HARD_MAX {
        section: Section::Guardrails,
        kind: Kind::Integer { min: 0, max: 1_000_000, why: "it is a number of turns, and 0 sets no limit" },
        fallback: Fallback::Value("300"),
        about: "The number of turns that agents may cause in a thread after the last message of a person, whatever the progress. `0` sets no such limit.",
        ..PLAIN
    }
    TEAM_DEPTH_MAX {
        section: Section::Guardrails,
        kind: Kind::Integer { min: 0, max: 100_000, why: "it is a number of hand-offs, and 0 sets no limit" },
        fallback: Fallback::Value("12"),
        about: "The number of hand-offs from agent to agent in a row, without a message of a person and without progress. `0` sets no limit.",
        before: Some(Before {
            there: "no limit",
            why: "two agents that mention each other never stop by themselves.",
        }),
        ..PLAIN
    }
    PEOPLE_RESERVE {
        section: Section::Guardrails,
        kind: Kind::Integer { min: 0, max: 100, why: "it is a share in percent" },
        fallback: Fallback::Value("20"),
        about: "The share of the workers (`DELIVERY_MAX_CONCURRENT_SESSIONS`) that is kept for notifications that people have caused, in percent, rounded down. Agents keep at least one worker. With fewer than three workers there is no reserve. `0` switches it off.",
        before: Some(Before {
            there: "no such variable: all notifications waited in one line",
            why: "a person should not wait behind the messages of agents to each other.",
        }),
        ..PLAIN
    }
    FOLD_MAX {
        section: Section::Guardrails,
        kind: Kind::Integer { min: 1, max: 100, why: "a turn answers at least one notification, and the briefing must have room for all of them" },
        fallback: Fallback::Value("20"),
        about: "The number of waiting notifications of one agent on one task that one turn answers. The newest one is answered, and the texts of the others stand in the same briefing. `1` gives each notification a turn of its own.",
        before: Some(Before {
            there: "no such variable: each notification had a turn of its own",
            why: "an agent with twenty new messages should read them all before it answers.",
        }),
        ..PLAIN
    }
    AGENT_TURNS_PER_MINUTE {
        section: Section::Guardrails,
        kind: Kind::Integer { min: 0, max: 1_000_000, why: "it is a number of requests, and 0 sets no limit" },
        fallback: Fallback::Value("240"),
        about: "The number of requests to the gateway that agents may cause in a minute. Tool rounds and retries count. Further notifications that agents have caused wait; those of people are not limited. `STATE_DIR` keeps the count across restarts. `0` sets no limit.",
        before: Some(Before {
            there: "no such variable: no limit",
            why: "agents that answer each other can cause thousands of requests in a minute.",
        }),
        ..PLAIN
    }
    NO_RESPONSE_NOTE {
        section: Section::Delivery,
        kind: Kind::Choice { options: &["people", "off", "all"], synonyms: &[("none", "off")] },
        fallback: Fallback::Value("people"),
        about: "When a note in the thread reports that an agent gave no answer after three attempts: if a person waits for it (`people`), also if only an agent waits (`all`), or never (`off`). The note about a failed delivery is always posted.",
        before: Some(Before { there: "no such variable: the thread stayed silent", why: "people should not wait for an answer that does not come." }),
        ..PLAIN
    }

    STATE_DIR {
        section: Section::Operation,
        kind: Kind::Path,
        fallback: Fallback::Derived("`$STATE_DIRECTORY` under systemd, else `$XDG_STATE_HOME/mission-control-runtime`, else `$HOME/.local/state/mission-control-runtime`"),
        about: "The directory for state that must survive a crash. It must belong to the user of the service, and no other user may write to it.",
        before: Some(Before {
            there: "no such variable: nothing survived a restart",
            why: "deliveries continue at their last recorded step.",
        }),
        ..PLAIN
    }
    LEDGER {
        section: Section::Operation,
        kind: Kind::Choice { options: &["on", "off"], synonyms: &[] },
        fallback: Fallback::Value("on"),
        about: "Whether the steps of deliveries are recorded in `STATE_DIR`. With `off`, the service also starts on a read-only disk, and a crash loses the deliveries in progress. With `off`, it refuses a ledger with deliveries in progress, because they could run twice: start once without `off` to finish them, or move the files `ledger.*` away.",
        before: Some(Before {
            there: "no such variable: nothing survived a restart",
            why: "running without crash recovery is a deliberate choice.",
        }),
        ..PLAIN
    }
    LEDGER_SYNC {
        section: Section::Operation,
        kind: Kind::Choice { options: &["full", "normal"], synonyms: &[] },
        fallback: Fallback::Value("full"),
        about: "When a step of a delivery counts as recorded: with `full` once it is on the disk, so that it survives a power failure; with `normal` once the operating system has it, so that it survives a crash of the process only. Use `normal` on disks with slow syncs.",
        before: Some(Before {
            there: "no such variable: nothing survived a restart",
            why: "a slow disk need not slow down every delivery.",
        }),
        ..PLAIN
    }
    AGENT_SYNC_INTERVAL {
        section: Section::Operation,
        kind: Kind::Integer { min: 5_000, max: 3_600_000, why: "polling more often than every 5 s only loads the backend, and a new agent should not wait more than an hour" },
        fallback: Fallback::Value("60000"),
        about: "Milliseconds between two polls of the roster of agents. Without a value, five minutes apply while the account is idle; anything that names an unknown agent then causes a poll at once.",
        before: Some(Before {
            there: "`300000`, any number",
            why: "the former README already documents 60000: a new or paused agent is noticed within a minute. Zero or a huge number made the timer spin.",
        }),
        ..PLAIN
    }
    SECRETS_SYNC_INTERVAL {
        section: Section::Operation,
        kind: Kind::Integer { min: 0, max: 3_600_000, why: "0 switches the sync off, more often than every second only loads the backend, and a removed key should not stay for more than an hour" },
        fallback: Fallback::Value("60000"),
        about: "Milliseconds between two fetches of the keys that are stored in Mission Control. Without a value, five minutes apply while the account is idle; 0 switches the fetches off. A Mission Control without this function is asked once a day.",
        ..PLAIN
    }
    GATEWAY_ENV_FILE {
        section: Section::Operation,
        kind: Kind::Path,
        fallback: Fallback::Derived("`$RUNTIME_DIRECTORY/gateway.env` under systemd, else `STATE_DIR/gateway.env`"),
        about: "The env file that the runtime writes with these keys, for the gateway. Only the service may write to its folder, and it may not be in the agents' folder. See [Secrets](secrets.md#keys-stored-in-mission-control).",
        ..PLAIN
    }
    HEARTBEAT_MODE {
        section: Section::Operation,
        kind: Kind::Choice { options: &["gated", "always", "off"], synonyms: &[] },
        fallback: Fallback::Value("gated"),
        about: "Which heartbeats of agents are sent to the model: those with something new for the agent (`gated`), all (`always`), or none (`off`: agents are not woken on schedule). See docs/heartbeats.md.",
        before: Some(Before {
            there: "no such variable: every heartbeat was sent",
            why: "almost all heartbeats find nothing to do, and each costs a turn: 288 a day for each agent at five minutes.",
        }),
        ..PLAIN
    }
    HEARTBEAT_MAX_QUIET {
        section: Section::Operation,
        kind: Kind::Integer { min: 60_000, max: 7 * DAY_MS, why: "less than a minute sends every heartbeat, and an agent should look at its work once a week at least" },
        fallback: Fallback::Value("86400000"),
        about: "With `HEARTBEAT_MODE=gated`: after this many milliseconds without a turn on schedule, the next heartbeat is sent although nothing has changed.",
        ..PLAIN
    }
    HEARTBEAT_ACTIVE_HOURS {
        section: Section::Operation,
        kind: Kind::Text { chars_max: NAME_CHARS_MAX },
        fallback: Fallback::Unset("at any hour"),
        about: "The part of the day in which heartbeats are sent to the model, such as `08:00-18:30` in `HEARTBEAT_TIME_ZONE`. It may cross midnight. Outside it, agents stay online, and a wake still begins a heartbeat.",
        ..PLAIN
    }
    HEARTBEAT_TIME_ZONE {
        section: Section::Operation,
        kind: Kind::Identifier,
        fallback: Fallback::Value("UTC"),
        about: "The time zone of `HEARTBEAT_ACTIVE_HOURS`, and of the midnight after which each agent has a heartbeat with a turn, such as `Europe/Berlin`.",
        ..PLAIN
    }
    HEARTBEAT_CHECKLIST {
        section: Section::Operation,
        kind: Kind::Path,
        fallback: Fallback::Unset("a built-in checklist"),
        about: "A text file with the checklist for heartbeats. It is read at each heartbeat. With a checklist that names clock times, weekdays or `always`, every heartbeat is sent.",
        before: Some(Before {
            there: "no such variable: `HEARTBEAT.md` in the agent's workspace",
            why: "current gateways no longer read `HEARTBEAT.md`.",
        }),
        ..PLAIN
    }
    HEALTH_CHECK_INTERVAL {
        section: Section::Operation,
        kind: Kind::Integer { min: 5_000, max: 45_000, why: "the backend marks a runtime offline after 90 s without a report, and one report may get lost" },
        fallback: Fallback::Value("45000"),
        about: "Milliseconds between two status reports. The backend marks a runtime offline after 90 s without one. A failed report is repeated after 5 s, and a changed status is reported at once.",
        before: Some(Before {
            there: "`30000`, any number; the former sample file has 300000",
            why: "45 s are enough for a limit of 90 s. With 300000 the account was offline most of the time, and zero or a huge number made the timer spin.",
        }),
        ..PLAIN
    }
    LOG_LEVEL {
        section: Section::Operation,
        kind: Kind::Choice {
            options: &["error", "warn", "info", "debug", "trace"],
            synonyms: &[("warning", "warn")],
        },
        fallback: Fallback::Value("info"),
        about: "The lowest level of log lines that are written.",
        before: Some(Before {
            there: "`debug`, `info`, `warn` and `error`; any other word meant `info`",
            why: "an unknown level is an error, because its meaning cannot be guessed.",
        }),
        ..PLAIN
    }
    LOG_FORMAT {
        section: Section::Operation,
        kind: Kind::Choice { options: &["text", "json"], synonyms: &[] },
        fallback: Fallback::Value("text"),
        about: "The format of log lines: text for people, or one JSON object per line for machines.",
        before: Some(Before { there: "no such variable: text", why: "log collectors want JSON." }),
        ..PLAIN
    }
    LOG_OUTPUT {
        section: Section::Operation,
        kind: Kind::Choice { options: &["stderr", "stdout"], synonyms: &[] },
        fallback: Fallback::Value("stderr"),
        about: "The stream to which `run` writes its log lines: standard error or standard output.",
        before: Some(Before {
            there: "no such variable: `debug` and `info` lines on standard output, `warn` and `error` on standard error",
            why: "one stream keeps the lines in order, and standard output is for the output of commands. A collector that reads only standard output needs `LOG_OUTPUT=stdout`.",
        }),
        ..PLAIN
    }
    UPGRADE_MODE {
        section: Section::Operation,
        kind: Kind::Choice { options: &["exit", "none"], synonyms: &[] },
        fallback: Fallback::Value("exit"),
        about: "The reaction to a restart or upgrade request from the dashboard: `exit` lets running turns finish and ends the process, and its supervisor starts it again; `none` does not read requests, which stay on the dashboard.",
        before: Some(Before {
            there: "`exit`; with any other word the request was ignored silently",
            why: "a misspelt `exit` must not disable upgrades silently; the other word is `none`.",
        }),
        ..PLAIN
    }
    UPGRADE_COMMAND {
        section: Section::Operation,
        kind: Kind::Text { chars_max: COMMAND_CHARS_MAX },
        fallback: Fallback::Unset("an upgrade only ends the process, and its supervisor must start the new version"),
        about: "The program that installs another version: an absolute path, and arguments separated by blanks. It runs without a shell, with three more arguments: `upgrade` or `rollback`, the version of the runtime, and the number of the request. `install.sh` sets up a safe one. See [Upgrades](operations.md#restart-and-upgrade).",
        before: Some(Before {
            there: "no such variable: the process ended, whatever was installed",
            why: "a process that ends without another version to start would do so at every report, for half an hour.",
        }),
        ..PLAIN
    }
    UPGRADE_COMMAND_TIMEOUT {
        section: Section::Operation,
        kind: Kind::Integer { min: 1_000, max: 1_800_000, why: "turns wait while the command runs, and Mission Control gives up after 30 minutes" },
        fallback: Fallback::Value("300000"),
        about: "Milliseconds after which `UPGRADE_COMMAND` is ended, and the upgrade fails.",
        ..PLAIN
    }
    UPGRADE_CONFIRM_MS {
        section: Section::Operation,
        kind: Kind::Integer { min: 1_000, max: 600_000, why: "a version that crashes needs some seconds for that, and Mission Control gives up after 30 minutes" },
        fallback: Fallback::Value("60000"),
        about: "Milliseconds for which a new version must work to be confirmed. A version that is not ready for as long, although Mission Control answers and the version before was ready, is rolled back.",
        ..PLAIN
    }
    UPGRADE_RESULT_FILE {
        section: Section::Operation,
        kind: Kind::Path,
        fallback: Fallback::Unset("none"),
        about: "The file in which an installer leaves the result of an upgrade. It names versions that could not even start. The units set it.",
        ..PLAIN
    }

    OPENCLAW_PROFILE_SYNC {
        section: Section::Workspace,
        kind: Kind::Boolean,
        fallback: Fallback::Value("false"),
        about: "Whether the runtime writes the agents' workspaces and the gateway's generated configuration, `openclaw.json` next to the directory of the workspaces. See [Workspaces](workspaces.md).",
        ..PLAIN
    }
    OPENCLAW_WORKSPACE_ROOT {
        section: Section::Workspace,
        kind: Kind::Path,
        fallback: Fallback::Value("/root/clawd/agents"),
        read_by: ReadBy::Both,
        about: "The directory of the agents' workspaces. The runtime and the gateway must use the same path. If its group may write to it, the files are readable for that group; otherwise for the user of the runtime only.",
        ..PLAIN
    }

    RUNTIME_VERSION {
        section: Section::Identity,
        fallback: Fallback::Derived("the version of this binary"),
        about: "The version this runtime reports.",
        before: Some(Before {
            there: "`npm_package_version`, else `0.1.0`",
            why: "a container that always reports `0.1.0` appears outdated after each upgrade, and is restarted in a loop.",
        }),
        ..PLAIN
    }
    OPENCLAW_VERSION {
        section: Section::Identity,
        fallback: Fallback::Unset("detected, else `unknown`"),
        about: "The version to report for OpenClaw, instead of the detected one.",
        ..PLAIN
    }
    DROPLET_ID {
        section: Section::Identity,
        fallback: Fallback::Value("unknown"),
        about: "The id of this machine in status reports.",
        ..PLAIN
    }
    DROPLET_IP {
        section: Section::Identity,
        fallback: Fallback::Value("unknown"),
        about: "The IP address of this machine in status reports.",
        ..PLAIN
    }
    DROPLET_REGION {
        section: Section::Identity,
        fallback: Fallback::Value("unknown"),
        about: "The region of this machine in status reports.",
        ..PLAIN
    }

    OPENCLAW_MAX_CONCURRENT {
        section: Section::Container,
        kind: Kind::Integer { min: 1, max: 16, why: "that is the gateway container's own range" },
        fallback: Fallback::Value("5"),
        read_by: ReadBy::Gateway,
        about: "The number of turns that the gateway runs at once. Set `DELIVERY_MAX_CONCURRENT_SESSIONS` of the runtime, whose default is 10, to the same number.",
        before: Some(Before {
            there: "`10`, 1–16",
            why: "ten agents at once need more memory than a small droplet has.",
        }),
        ..PLAIN
    }
    OPENCLAW_AGENTS {
        section: Section::Container,
        kind: Kind::Text { chars_max: 4_000 },
        fallback: Fallback::Unset("the agents of the existing file"),
        read_by: ReadBy::Gateway,
        about: "The slugs of the board's agents, separated by commas: the gateway refuses turns of agents that it does not know. They are added to those of the existing file. A generated configuration takes their place.",
        ..PLAIN
    }
    OPENCLAW_BIND_HOST {
        section: Section::Container,
        kind: Kind::Host,
        fallback: Fallback::Unset("all addresses with a token, else loopback"),
        read_by: ReadBy::Gateway,
        about: "The IPv4 address that the gateway listens on: `0.0.0.0`, `127.0.0.1` or one of this machine. Without a token it is always loopback.",
        ..PLAIN
    }
    OPENCLAW_SESSION_RETENTION_DAYS {
        section: Section::Container,
        kind: Kind::Integer { min: 0, max: 36_500, why: "no session needs to be kept for more than a hundred years" },
        fallback: Fallback::Unset("the gateway's own rule"),
        read_by: ReadBy::Gateway,
        about: "The number of days without use after which the gateway archives a session. 0 counts as 1.",
        ..PLAIN
    }
    OPENCLAW_CONFIG_RELOAD {
        section: Section::Container,
        kind: Kind::Boolean,
        fallback: Fallback::Value("false"),
        read_by: ReadBy::Gateway,
        about: "Whether the gateway applies a changed configuration while it runs.",
        ..PLAIN
    }
    AI_GATEWAY_API_KEY {
        aliases: &["VERCEL_AI_GATEWAY_API_KEY"],
        about: "The key of the Vercel AI Gateway. It opens every model of Mission Control, and the other providers are not used.",
        ..CONTAINER_KEY
    }
    ANTHROPIC_API_KEY {
        about: "The key of a model provider, used if there is no Vercel key.",
        ..CONTAINER_KEY
    }
    OPENAI_API_KEY {
        about: "The key of a model provider, used if there is no Vercel key.",
        ..CONTAINER_KEY
    }
    TELEGRAM_BOT_TOKEN {
        about: "The token of a Telegram bot. It enables the channel.",
        ..CONTAINER_KEY
    }
    DISCORD_BOT_TOKEN {
        about: "The token of a Discord bot. It enables the channel.",
        ..CONTAINER_KEY
    }
    SLACK_BOT_TOKEN {
        about: "The bot token of a Slack app. It enables the channel together with `SLACK_APP_TOKEN`.",
        ..CONTAINER_KEY
    }
    SLACK_APP_TOKEN {
        about: "The app-level token of a Slack app. It enables the channel together with `SLACK_BOT_TOKEN`.",
        ..CONTAINER_KEY
    }
    BRAVE_API_KEY {
        about: "The key of the web search provider.",
        ..CONTAINER_KEY
    }
    GH_TOKEN {
        aliases: &["GITHUB_TOKEN"],
        about: "The agents' access to git and GitHub.",
        ..CONTAINER_KEY
    }
    GIT_AUTHOR_NAME {
        section: Section::Container,
        fallback: Fallback::Unset("the container's own"),
        read_by: ReadBy::Gateway,
        common: true,
        about: "The author name of the agents' commits.",
        ..PLAIN
    }
    GIT_AUTHOR_EMAIL {
        section: Section::Container,
        fallback: Fallback::Unset("the container's own"),
        read_by: ReadBy::Gateway,
        common: true,
        about: "The author email address of the agents' commits.",
        ..PLAIN
    }
    OPENCLAW_BROWSER_EXECUTABLE_PATH {
        section: Section::Container,
        kind: Kind::Path,
        fallback: Fallback::Unset("no browser; `/usr/bin/chromium` in the image"),
        read_by: ReadBy::Gateway,
        about: "The path of the browser that agents use. It runs without its sandbox.",
        ..PLAIN
    }
    FLY_API_TOKEN {
        section: Section::Fly,
        kind: Kind::Secret { chars_max: KEY_CHARS_MAX },
        read_by: ReadBy::FlyCleanup,
        common: true,
        about: "The token for Fly's Machines API, with or without `FlyV1` in front.",
        ..PLAIN
    }
    FLY_API_BASE_URL {
        section: Section::Fly,
        kind: Kind::Url { example: "https://api.machines.dev" },
        fallback: Fallback::Value("https://api.machines.dev"),
        read_by: ReadBy::FlyCleanup,
        common: true,
        about: "The address of Fly's Machines API.",
        ..PLAIN
    }
    FLY_CLEANUP_NAME_PREFIX {
        section: Section::Fly,
        kind: Kind::Identifier,
        fallback: Fallback::Unset("every machine"),
        read_by: ReadBy::FlyCleanup,
        about: "Only machines whose names begin with this are deleted, with their volumes.",
        ..PLAIN
    }
    FLY_CLEANUP_MIN_AGE_S {
        section: Section::Fly,
        kind: Kind::Integer { min: 0, max: 31_536_000, why: "the longest that makes sense is a year" },
        fallback: Fallback::Value("0"),
        read_by: ReadBy::FlyCleanup,
        about: "Machines and volumes younger than this many seconds are kept.",
        ..PLAIN
    }
    WORKER_ID {
        aliases: &["AGENT_FACTORY_WORKER_ID"],
        kind: Kind::Identifier,
        fallback: Fallback::Unset("a fresh id for each conversation: no scheduler knows this worker"),
        about: "The id that the pool's scheduler has given to this machine. With it the worker obeys the scheduler, and `run` starts as `worker`.",
        ..WORKER_ROW
    }
    WORKER_LANES {
        kind: Kind::Integer { min: 1, max: 100, why: "one conversation must be served, and each one takes threads and connections" },
        fallback: Fallback::Value("1"),
        about: "How many conversations are served at the same time.",
        ..WORKER_ROW
    }
    WORKER_AUTH_TOKEN {
        kind: Kind::Secret { chars_max: KEY_CHARS_MAX },
        fallback: Fallback::Unset("no header"),
        about: "The bearer token of every call of the queue, if the deployment wants one.",
        ..WORKER_ROW
    }
    AGENT_FACTORY_FUNCTION_NAMESPACE {
        kind: Kind::Identifier,
        fallback: Fallback::Value("agentFactory"),
        about: "The module of the deployment that exports the functions of the queue.",
        ..WORKER_ROW
    }
    WORKSPACE_ID {
        kind: Kind::Identifier,
        fallback: Fallback::Value("default"),
        about: "The workspace whose histories are read and written.",
        ..WORKER_ROW
    }
    OPENCLAW_AGENT_KEY {
        kind: Kind::Identifier,
        fallback: Fallback::Value("default"),
        about: "The agent for which this worker was made. Snapshots are found by it.",
        ..WORKER_ROW
    }
    OPENCLAW_CONVERSATION_ID {
        kind: Kind::Text { chars_max: NAME_CHARS_MAX },
        fallback: Fallback::Unset("any conversation"),
        about: "The only conversation that this worker serves. It needs `WORKER_ID`.",
        ..WORKER_ROW
    }
    WORKER_SESSION_KEY_PREFIX {
        kind: Kind::Identifier,
        fallback: Fallback::Value("af"),
        about: "The part of session keys at the gateway that marks conversations of the pool.",
        ..WORKER_ROW
    }
    POLL_INTERVAL_MS {
        kind: Kind::Integer { min: 100, max: DAY_MS, why: "more polls only load the queue, and a day is as good as off" },
        fallback: Fallback::Value("2000"),
        about: "The pause after a claim that found nothing.",
        ..WORKER_ROW
    }
    HEARTBEAT_INTERVAL_MS {
        kind: Kind::Integer { min: 500, max: 30_000, why: "a job without a renewed lease is given up after a minute" },
        fallback: Fallback::Value("10000"),
        about: "The longest time between two renewals of a lease. A short lease is renewed more often.",
        ..WORKER_ROW
    }
    WORKER_IDLE_TIMEOUT_MS {
        kind: Kind::Integer { min: 1_000, max: 30 * DAY_MS, why: "a worker needs time to claim, and a month is as good as never" },
        fallback: Fallback::Value("300000"),
        about: "After this time without a job a worker with a `WORKER_ID` ends.",
        ..WORKER_ROW
    }
    CONVEX_HTTP_TIMEOUT_MS {
        kind: Kind::Integer { min: 1_000, max: 300_000, why: "a call takes a moment, and a lease ends after six minutes" },
        fallback: Fallback::Value("20000"),
        about: "The time limit of a call of the queue, with its repeats.",
        ..WORKER_ROW
    }
    OPENCLAW_TIMEOUT_MS {
        kind: Kind::Integer { min: 1_000, max: DAY_MS, why: "a model needs time to begin, and a day is as good as off" },
        fallback: Fallback::Derived("`OPENCLAW_REQUEST_TIMEOUT_MS`"),
        about: "How long a turn may show no sign of life. A turn that goes on has no limit.",
        ..WORKER_ROW
    }
    OPENCLAW_WORKSPACE_DIR {
        kind: Kind::Path,
        fallback: Fallback::Value("/data/workspace"),
        about: "The agent's workspace. The files of messages are stored in it.",
        ..WORKER_ROW
    }
    SNAPSHOTS {
        kind: Kind::Choice { options: &["auto", "off"], synonyms: &[] },
        fallback: Fallback::Value("auto"),
        about: "Whether the agent's state is restored before its first turn and stored afterwards. With `auto` that happens with a `WORKER_ID` and one lane, because several conversations share one workspace otherwise.",
        ..WORKER_ROW
    }
    OPENCLAW_STATE_DIR {
        kind: Kind::Path,
        fallback: Fallback::Value("/data/.clawdbot"),
        about: "The state of the gateway. Snapshots have it together with `OPENCLAW_WORKSPACE_DIR`.",
        ..WORKER_ROW
    }
    SNAPSHOT_INTERVAL_MS {
        kind: Kind::Integer { min: 0, max: DAY_MS, why: "a crash loses what was done since the last snapshot" },
        fallback: Fallback::Value("900000"),
        about: "The time between two snapshots while the agent works. `0` makes one at the end only.",
        ..WORKER_ROW
    }
    SNAPSHOT_KEEP {
        kind: Kind::Integer { min: 1, max: 100, why: "one is needed, and each takes room" },
        fallback: Fallback::Value("3"),
        about: "How many archives of each conversation stay in `STATE_DIR`. The queue offers only the newest snapshot, so an older good one comes from there.",
        ..WORKER_ROW
    }
    SNAPSHOT_MAX_MB {
        kind: Kind::Integer { min: 1, max: 100_000, why: "an archive must fit on the disk twice" },
        fallback: Fallback::Value("2048"),
        about: "The most that the files of a snapshot have together, in MiB.",
        ..WORKER_ROW
    }
    SNAPSHOT_EXCLUDE {
        kind: Kind::Text { chars_max: 4_000 },
        fallback: Fallback::Unset("only secrets, logs and caches stay out"),
        about: "What else stays out of snapshots, separated by commas: paths such as `workspace/videos`, or names such as `*.iso` anywhere. A restore of the same conversation keeps what is there.",
        ..WORKER_ROW
    }
    SKILLS_BOOTSTRAP_MODE {
        kind: Kind::Choice { options: &["db_manifest", "off"], synonyms: &[] },
        fallback: Fallback::Value("db_manifest"),
        about: "Whether the skills that the queue publishes are installed at the start.",
        ..WORKER_ROW
    }
    SKILLS_BOOTSTRAP_REQUIRED {
        kind: Kind::Boolean,
        fallback: Fallback::Value("false"),
        about: "Whether a worker whose skills cannot be installed does not start.",
        ..WORKER_ROW
    }
    SKILLS_BOOTSTRAP_TIMEOUT_MS {
        kind: Kind::Integer { min: 1_000, max: 300_000, why: "the list of skills takes a moment, and nobody waits for minutes" },
        fallback: Fallback::Value("15000"),
        about: "How long the list of skills may take.",
        ..WORKER_ROW
    }
    SKILLS_RELEASE_CHANNEL {
        kind: Kind::Choice { options: &["stable", "canary"], synonyms: &[] },
        fallback: Fallback::Value("stable"),
        about: "The channel of the skills.",
        ..WORKER_ROW
    }
    OPENCLAW_SKILLS_DIR {
        kind: Kind::Path,
        fallback: Fallback::Derived("`OPENCLAW_WORKSPACE_DIR/skills`"),
        about: "The folder of the skills.",
        ..WORKER_ROW
    }
    SKILLS_POLICY {
        kind: Kind::Choice { options: &["managed", "enforce"], synonyms: &[] },
        fallback: Fallback::Value("managed"),
        about: "What happens to skills that the queue does not publish: `managed` leaves them, `enforce` puts them into quarantine. With `enforce`, a worker whose skills cannot be installed does not start.",
        ..WORKER_ROW
    }
    SKILLS_ALLOWLIST {
        kind: Kind::Text { chars_max: 4_000 },
        fallback: Fallback::Unset("none"),
        about: "Folders of skills that stay under `SKILLS_POLICY=enforce`, separated by commas.",
        ..WORKER_ROW
    }
    POOL_RECONCILE {
        kind: Kind::Boolean,
        fallback: Fallback::Value("false"),
        about: "Whether this worker calls `startWorkers` every five minutes, where the deployment has no cron for it. One worker of a pool is enough.",
        ..WORKER_ROW
    }
    POOL_PUSH {
        kind: Kind::Boolean,
        fallback: Fallback::Value("false"),
        about: "Whether this worker calls `dispatchDuePushJobs` at each full hour, where the deployment has no cron for it.",
        ..WORKER_ROW
    }
    POOL_CLEANUP {
        kind: Kind::Boolean,
        fallback: Fallback::Value("false"),
        about: "Whether this worker calls `runFlyCleanup` at 03:00 UTC, where the deployment has no cron for it. That deletes all machines and volumes of the app at Fly.",
        ..WORKER_ROW
    }
    OPENCLAW_AGENT_BRIDGE_BASE_URL {
        aliases: &["AGENT_BRIDGE_BASE_URL"],
        kind: Kind::Url { example: "https://app.example.com" },
        fallback: Fallback::Unset("no bridge"),
        about: "The address of the application whose functions skills call with `POST /agent/bridge`.",
        ..BRIDGE_ROW
    }
    OPENCLAW_SERVICE_ID {
        aliases: &["AGENT_BRIDGE_SERVICE_ID"],
        kind: Kind::Identifier,
        about: "The id of this service at the application.",
        ..BRIDGE_ROW
    }
    OPENCLAW_SERVICE_KEY {
        aliases: &["AGENT_BRIDGE_SERVICE_KEY"],
        kind: Kind::Secret { chars_max: KEY_CHARS_MAX },
        about: "The key of this service at the application.",
        ..BRIDGE_ROW
    }
    OPENCLAW_AGENT_APP {
        aliases: &["OPENCLAW_APP_KEY", "AGENT_BRIDGE_APP_KEY"],
        kind: Kind::Identifier,
        about: "The key of the application.",
        ..BRIDGE_ROW
    }
    TELEGRAM_API_BASE_URL {
        kind: Kind::Url { example: "https://api.telegram.org" },
        fallback: Fallback::Value("https://api.telegram.org"),
        about: "The address of Telegram's Bot API.",
        read_by: ReadBy::WorkerAndLocal,
        ..WORKER_ROW
    }
    TELEGRAM_PARSE_MODE {
        kind: Kind::Choice { options: &["plain", "html"], synonyms: &[] },
        fallback: Fallback::Value("plain"),
        about: "How Telegram reads an answer: as it is, or with bold text and code shown as such.",
        ..WORKER_ROW
    }
    DIGITALOCEAN_TOKEN {
        section: Section::Provision,
        kind: Kind::Secret { chars_max: KEY_CHARS_MAX },
        read_by: ReadBy::Provision,
        common: true,
        about: "The token for DigitalOcean's API.",
        ..PLAIN
    }
    DIGITALOCEAN_API_BASE_URL {
        section: Section::Provision,
        kind: Kind::Url { example: "https://api.digitalocean.com" },
        fallback: Fallback::Value("https://api.digitalocean.com"),
        read_by: ReadBy::ProvisionAndLocal,
        about: "The address of DigitalOcean's API.",
        ..PLAIN
    }
    PROVISION_REGION {
        section: Section::Provision,
        kind: Kind::Identifier,
        fallback: Fallback::Value("fra1"),
        read_by: ReadBy::Provision,
        about: "Where a new machine runs.",
        ..PLAIN
    }
    PROVISION_SIZE {
        section: Section::Provision,
        kind: Kind::Identifier,
        fallback: Fallback::Value("s-1vcpu-2gb"),
        read_by: ReadBy::Provision,
        about: "The size of a new machine, as the provider's price list calls it. The gateway needs 2 GB of memory.",
        ..PLAIN
    }
    PROVISION_IMAGE {
        section: Section::Provision,
        kind: Kind::Identifier,
        fallback: Fallback::Value("debian-12-x64"),
        read_by: ReadBy::Provision,
        about: "The image of a new machine: Debian 12 or 13, Ubuntu 22.04 or 24.04.",
        ..PLAIN
    }
    PROVISION_SSH_KEYS {
        section: Section::Provision,
        kind: Kind::Text { chars_max: COMMAND_CHARS_MAX },
        fallback: Fallback::Unset("no machine is created"),
        read_by: ReadBy::Provision,
        about: "Ids or fingerprints of the provider's SSH keys that may log in to a new machine, separated by commas.",
        ..PLAIN
    }
    PROVISION_TAG {
        section: Section::Provision,
        kind: Kind::Identifier,
        fallback: Fallback::Value("mission-control"),
        read_by: ReadBy::Provision,
        about: "The tag of all machines, and the beginning of their names. Nothing without it is touched.",
        ..PLAIN
    }
    PROVISION_RELEASE_URL {
        section: Section::Provision,
        kind: Kind::Text { chars_max: COMMAND_CHARS_MAX },
        fallback: Fallback::Unset("no machine is created"),
        read_by: ReadBy::Provision,
        about: "The https address of the archive that a new machine installs.",
        ..PLAIN
    }
    PROVISION_RELEASE_SHA256 {
        section: Section::Provision,
        kind: Kind::Identifier,
        fallback: Fallback::Unset("no machine is created"),
        read_by: ReadBy::Provision,
        about: "The SHA-256 of that archive.",
        ..PLAIN
    }
    PROVISION_OPENCLAW_VERSION {
        section: Section::Provision,
        kind: Kind::Identifier,
        fallback: Fallback::Unset("the version in `packaging/cloud-init.yaml`"),
        read_by: ReadBy::Provision,
        about: "The version of OpenClaw on a new machine.",
        ..PLAIN
    }
    PROVISION_NODE_VERSION {
        section: Section::Provision,
        kind: Kind::Identifier,
        fallback: Fallback::Unset("the version in `packaging/cloud-init.yaml`"),
        read_by: ReadBy::Provision,
        about: "The version of Node on a new machine.",
        ..PLAIN
    }
    PROVISION_AGENTS {
        section: Section::Provision,
        kind: Kind::Text { chars_max: COMMAND_CHARS_MAX },
        fallback: Fallback::Unset("those in `packaging/cloud-init.yaml`"),
        read_by: ReadBy::Provision,
        about: "The slugs of the account's agents for the gateway of a new machine, separated by commas.",
        ..PLAIN
    }
    PROVISION_TIMEOUT_S {
        section: Section::Provision,
        kind: Kind::Integer {
            min: 1,
            max: 7_200,
            why: "a machine that has not reported within two hours does not report any more",
        },
        fallback: Fallback::Value("900"),
        read_by: ReadBy::ProvisionAndLocal,
        about: "How many seconds a new machine may take until it reports. In `local`: until it has its secrets, and then until it reports.",
        ..PLAIN
    }
    PROVISION_DESTROY_ON_TIMEOUT {
        section: Section::Provision,
        kind: Kind::Boolean,
        fallback: Fallback::Value("false"),
        read_by: ReadBy::ProvisionAndLocal,
        about: "Whether a machine that does not report in time is destroyed. Otherwise it is kept, to be looked at.",
        ..PLAIN
    }
    PROVISION_STATE_DIR {
        section: Section::Provision,
        kind: Kind::Path,
        fallback: Fallback::Value(".mission-control-provision"),
        read_by: ReadBy::Provision,
        about: "The folder in which `provision` keeps what it knows of its machines.",
        ..PLAIN
    }
    RUNTIME_BOOTSTRAP_URL {
        section: Section::Provision,
        kind: Kind::Url { example: "https://board.example.com" },
        fallback: Fallback::Unset("a person brings the secrets"),
        read_by: ReadBy::Bootstrap,
        about: "The control plane from which a new machine gets its environment, once.",
        ..PLAIN
    }
    RUNTIME_BOOTSTRAP_TOKEN_FILE {
        section: Section::Provision,
        kind: Kind::Path,
        fallback: Fallback::Value("/etc/mission-control-bootstrap.token"),
        read_by: ReadBy::Bootstrap,
        about: "The file with the one-time token for that. It is removed afterwards.",
        ..PLAIN
    }
}

/// Variables of the image build, the compose file and its scripts, which may share our env file. The runtime does not
/// read them and does not warn about them.
pub(super) const NEIGHBOURS: &[&str] = &[
    "EXTRA_APT_PACKAGES",
    "DOCKER_UID",
    "DOCKER_GID",
    "COMPOSE_FILE",
    "COMPOSE_PROJECT_NAME",
    "PROFILE",
    "DAEMON",
    "BUILD",
    "PRUNE_ON_FAIL",
    "DOCKER_BUILDKIT",
    "COMPOSE_DOCKER_CLI_BUILD",
    "GITHUB_REPO",
    "OPENCLAW_GATEWAY_COMMAND",
    "OPENCLAW_GATEWAY_HOST",
    "OPENCLAW_GATEWAY_PORT",
    "OPENCLAW_PROFILE",
    "OPENCLAW_SETUP_TIMEOUT_MS",
    "SSL_CERT_DIR",
];

/// The state directory that systemd sets. [`STATE_DIR`] falls back to it and to the next two, in the environment only.
pub(super) const STATE_DIRECTORY: &str = "STATE_DIRECTORY";
/// The directory for files of the running service that systemd sets. [`GATEWAY_ENV_FILE`] falls back to it.
pub(super) const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";
/// The user's directory for state.
pub(super) const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
/// The user's home directory.
pub(super) const HOME: &str = "HOME";
