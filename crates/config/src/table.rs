//! The one table of every variable. Parser, `.env.example`, the tables in `docs/` and `doctor` are read off it.
//!
//! The one file that may be long: a new variable is a new row here, and a line where `settings.rs` reads it.

use super::variable::{Before, Effect, Fallback, Kind, ReadBy, Section, Variable};

/// Nobody means to wait longer than a day between two steps.
const DAY_MS: u64 = 86_400_000;

/// The backend refuses longer tokens.
pub(super) const SERVICE_TOKEN_CHARS_MAX: usize = 512;

/// Other keys: more than any provider hands out, little enough for one header line.
const KEY_CHARS_MAX: usize = 4096;

/// Below this the gateway's own silent retries look like a stuck turn.
pub(super) const QUIET_GATEWAY_MS: u64 = 300_000;

/// Versions and droplet names travel in every status report.
const NAME_CHARS_MAX: usize = 200;

/// What most rows have in common.
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

/// What waits for the part that writes agent workspaces.
const NO_WORKSPACES: Effect = Effect::NotYet { lacks: "writes no agent workspaces", quiet: Some("false") };

/// A key that only the gateway container reads.
const CONTAINER_KEY: Variable = Variable {
    section: Section::Container,
    kind: Kind::Secret { chars_max: KEY_CHARS_MAX },
    read_by: ReadBy::Gateway,
    common: true,
    ..PLAIN
};

/// Makes a named row of each entry, and the table of all rows in the same order.
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
        about: "The account this runtime serves; the service token must be made for the same one.",
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
        about: "The key for every backend call: `mc_service_{accountId}_{secret}`, as the dashboard issues it.",
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
        about: "Where the HTTP server listens (`/health`, `/agent/*`). `0.0.0.0` or `::` for every interface.",
        ..PLAIN
    }
    HEALTH_PORT {
        section: Section::Server,
        kind: Kind::Port,
        fallback: Fallback::Value("3001"),
        about: "The port of the HTTP server; 0 takes any free one.",
        before: Some(Before {
            there: "`3000`, any number",
            why: "the old README and container example already promised 3001. A published port or a health check \
                  that names 3000 must change, or set `HEALTH_PORT=3000`.",
        }),
        ..PLAIN
    }
    TASK_STATUS_BASE_URL {
        section: Section::Server,
        kind: Kind::Url { example: "http://runtime:3001" },
        fallback: Fallback::Derived("`http://{HEALTH_HOST}:{HEALTH_PORT}`, loopback where that listens everywhere"),
        about: "The address under which agents reach this runtime; it stands in their prompts.",
        before: Some(Before {
            there: "the same with port 3000; any scheme; IPv6 hosts without brackets",
            why: "it follows `HEALTH_PORT`; agents can only use http or https; `http://::1:3000` was not a valid address.",
        }),
        ..PLAIN
    }
    AGENT_API_ALLOW {
        section: Section::Server,
        kind: Kind::Text { chars_max: 1_000 },
        fallback: Fallback::Unset("this machine only"),
        about: "From where agents may call `/agent/*` besides this machine: networks such as `172.18.0.0/16` or `fd00::/8`, with commas between them.",
        before: Some(Before {
            there: "no such variable: every private IPv4 address counted as local",
            why: "whoever reaches the address and guesses a session key speaks for its agent. Where the gateway runs in another container, name its network.",
        }),
        ..PLAIN
    }
    AGENT_API_TOKENS {
        section: Section::Server,
        kind: Kind::Boolean,
        fallback: Fallback::Value("false"),
        about: "Whether agents must show a secret of their session on `/agent/*`, besides its key. The runtime makes it and tells the agent.",
        before: Some(Before {
            there: "no such variable: the key alone was enough",
            why: "session keys are made of public parts and can be guessed.",
        }),
        ..PLAIN
    }
    RECEIVE_MEMORY_MB {
        section: Section::Server,
        kind: Kind::Integer { min: 64, max: 65_536, why: "the largest messages of each kind need 64 MiB together, and 64 GiB is more than any machine this runs on can spare" },
        fallback: Fallback::Value("64"),
        about: "The memory in MiB for large answers of the gateway and the backend and for large request bodies, all together. A message that finds no room waits.",
        before: Some(Before {
            there: "no such variable: memory had no limit",
            why: "ten large answers at once took hundreds of MiB.",
        }),
        ..PLAIN
    }

    OPENCLAW_GATEWAY_URL {
        section: Section::Gateway,
        kind: Kind::Url { example: "http://127.0.0.1:18789" },
        fallback: Fallback::Value("http://127.0.0.1:18789"),
        blank: Some("no gateway: nothing is sent to agents"),
        about: "The address of the OpenClaw gateway. Set but blank: no gateway, nothing is sent to agents.",
        ..PLAIN
    }
    OPENCLAW_GATEWAY_TOKEN {
        section: Section::Gateway,
        kind: Kind::Secret { chars_max: KEY_CHARS_MAX },
        fallback: Fallback::Unset("no token; required for a gateway on another host"),
        read_by: ReadBy::Both,
        about: "The bearer token of the gateway. The gateway container listens on the network if it has one, otherwise on loopback only.",
        before: Some(Before {
            there: "the word `local` was sent as a token; a blank value switched the rule for other hosts off",
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
        about: "How long an agent's turn may show no sign of life before it counts as stuck; the turn itself may take longer. In milliseconds. Values below 300000 draw a warning: the gateway's own retries are silent for three minutes.",
        before: Some(Before {
            there: "`300000`, 5000–600000, for the whole request",
            why: "a working turn is never cut off by the clock; only silence counts, so the limit can be generous.",
        }),
        ..PLAIN
    }
    OPENCLAW_CLIENT_TOOLS_ENABLED {
        section: Section::Gateway,
        kind: Kind::Boolean,
        fallback: Fallback::Value("true"),
        about: "Whether agents are offered function tools; otherwise their prompts describe the HTTP endpoints.",
        ..PLAIN
    }

    OPENCLAW_SESSION_MAIN_KEY {
        section: Section::Gateway,
        fallback: Fallback::Value("main"),
        about: "The name of an agent's main session at the gateway (`session.mainKey` there): events of its scheduled runs belong to it.",
        ..PLAIN
    }
    OPENCLAW_SESSION_SCOPE {
        section: Section::Gateway,
        kind: Kind::Choice { options: &["per-sender", "global"], synonyms: &[] },
        fallback: Fallback::Value("per-sender"),
        about: "Whether agents have sessions of their own at the gateway (`session.scope` there), or all share one.",
        ..PLAIN
    }

    DELIVERY_INTERVAL {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1_000, max: DAY_MS, why: "polling more often than every second only loads the backend, and a day is as good as off" },
        fallback: Fallback::Value("5000"),
        about: "Milliseconds between two polls for new notifications while all is well.",
        before: Some(Before {
            there: "`15000`",
            why: "the old README already promised 5000, and a person who waits for an agent notices ten seconds.",
        }),
        ..PLAIN
    }
    DELIVERY_IDLE_INTERVAL {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1_000, max: DAY_MS, why: "polling more often than every second only loads the backend, and a day is as good as off" },
        fallback: Fallback::Derived("`DELIVERY_INTERVAL`"),
        about: "Milliseconds between two polls when nothing has happened for two minutes; never less than `DELIVERY_INTERVAL`. Longer saves backend calls, and the first message after a pause waits for it.",
        before: Some(Before {
            there: "no such variable: the same pace always",
            why: "an account that sleeps at night need not pay for polls.",
        }),
        ..PLAIN
    }
    DELIVERY_BACKOFF_BASE_MS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1_000, max: DAY_MS, why: "a backend in trouble needs at least a second, and a pause of more than a day is as good as off" },
        fallback: Fallback::Value("5000"),
        about: "The first pause after a failed poll, in milliseconds; it doubles up to the ceiling.",
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
        about: "How many agent turns may run at once.",
        ..PLAIN
    }
    DELIVERY_LIST_LIMIT {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1, max: 500, why: "a poll must ask for at least one, and the backend's answer should stay small" },
        fallback: Fallback::Value("50"),
        about: "How many new notifications one poll asks for, at least; four for each worker if that is more.",
        ..PLAIN
    }
    DELIVERY_STREAM_TIMEOUT_MS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 5_000, max: 300_000, why: "that is the range of the TypeScript runtime" },
        fallback: Fallback::Derived("2 × `OPENCLAW_REQUEST_TIMEOUT_MS`, at most `300000`"),
        effect: Effect::NoMore("a turn is judged by its signs of life, see `OPENCLAW_REQUEST_TIMEOUT_MS`"),
        about: "The time limit of a session stream in the TypeScript runtime.",
        ..PLAIN
    }
    DELIVERY_CONTEXT_FETCH_BATCH_SIZE {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1, max: 50, why: "that is the range of the TypeScript runtime" },
        fallback: Fallback::Value("15"),
        effect: Effect::NoMore("each delivery fetches its own context, right before it is needed"),
        about: "How many contexts the TypeScript runtime fetched in parallel.",
        ..PLAIN
    }
    DRAIN_TIMEOUT_MS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 0, max: 600_000, why: "no supervisor waits for more than ten minutes" },
        fallback: Fallback::Value("25000"),
        about: "How long agent turns that run may go on when the process is told to stop, in milliseconds; then they are cut off, and ten seconds later at the latest the process has ended. Supervisors must be given more than both.",
        before: Some(Before {
            there: "no such variable: turns that ran were left alone",
            why: "an answer that is nearly there is worth some seconds.",
        }),
        ..PLAIN
    }

    TOOL_MAX_ROUNDS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1, max: 50, why: "an agent that calls tools must get their results at least once, and each round is a turn of the model" },
        fallback: Fallback::Value("8"),
        about: "How many times in one delivery an agent may get results of tools and call again.",
        before: Some(Before {
            there: "exactly one round; later calls were ignored",
            why: "real work takes several: look, change, look again.",
        }),
        ..PLAIN
    }
    TOOL_MAX_CALLS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1, max: 500, why: "a tool that may be called must be callable once, and a loop must end" },
        fallback: Fallback::Value("32"),
        about: "How many tool calls one delivery may make in all; what exceeds it is answered with an error that the agent can read.",
        before: Some(Before {
            there: "no limit",
            why: "an agent in a loop should not work through the whole board.",
        }),
        ..PLAIN
    }

    DELIVERY_MAX_ATTEMPTS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 1, max: 1_000, why: "a notification must be tried once, and must end some day" },
        fallback: Fallback::Value("8"),
        about: "How often a delivery may fail by one cause of its own before it is given up; each cause is counted alone. Where the model's provider is in trouble, or the backend hides its reasons, two and a half times as often. The absence of the gateway or of the backend is not counted.",
        before: Some(Before {
            there: "no limit: a row that could not be delivered was tried for ever",
            why: "one poisonous notification must not cost a turn of the model every few seconds.",
        }),
        ..PLAIN
    }
    DELIVERY_MAX_AGE_MS {
        section: Section::Delivery,
        kind: Kind::Integer { min: 60_000, max: 30 * DAY_MS, why: "nobody waits for an answer for more than a month, and a restarting provider may take a minute" },
        fallback: Fallback::Value("86400000"),
        about: "How long a failing delivery is tried at most, in milliseconds, without the time in which the gateway or the backend was away.",
        before: Some(Before { there: "no limit", why: "an answer that comes days later helps nobody." }),
        ..PLAIN
    }
    NO_RESPONSE_NOTE {
        section: Section::Delivery,
        kind: Kind::Choice { options: &["people", "off", "all"], synonyms: &[("none", "off")] },
        fallback: Fallback::Value("people"),
        about: "Whether a line in the thread says that an agent gave no answer after it was asked three times: if a person waits for it (`people`), also if only an agent does (`all`), or never (`off`). That a delivery was given up for a failure is always said.",
        before: Some(Before { there: "no such variable: the thread stayed silent", why: "people should not wait for nothing." }),
        ..PLAIN
    }

    STATE_DIR {
        section: Section::Operation,
        kind: Kind::Path,
        fallback: Fallback::Derived("`$STATE_DIRECTORY` under systemd, else `$XDG_STATE_HOME/mission-control-runtime`, else `$HOME/.local/state/mission-control-runtime`"),
        about: "The folder for what must survive a crash. It must belong to the user of the service, and nobody else may write to it.",
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
        about: "Whether steps of deliveries are recorded in `STATE_DIR`. With `off` the service also starts where nothing can be written, and a crash loses what is under way; it does not start over a ledger with deliveries under way, which could be done twice: let a start without `off` settle them first, or move the files `ledger.*` away.",
        before: Some(Before {
            there: "no such variable: nothing survived a restart",
            why: "running without crash recovery is a decision, not an accident.",
        }),
        ..PLAIN
    }
    LEDGER_SYNC {
        section: Section::Operation,
        kind: Kind::Choice { options: &["full", "normal"], synonyms: &[] },
        fallback: Fallback::Value("full"),
        about: "When a step of a delivery counts as recorded: `full` once it is on the disk, so that it outlives a power cut; `normal` once the system has it, so that it outlives a crash of the process only. `normal` is for disks on which a sync is slow.",
        before: Some(Before {
            there: "no such variable: nothing survived a restart",
            why: "whoever cannot wait for the disk can say so.",
        }),
        ..PLAIN
    }
    AGENT_SYNC_INTERVAL {
        section: Section::Operation,
        kind: Kind::Integer { min: 5_000, max: 3_600_000, why: "polling more often than every 5 s only loads the backend, and a new agent should not wait more than an hour" },
        fallback: Fallback::Value("60000"),
        about: "Milliseconds between two polls of the roster of agents.",
        before: Some(Before {
            there: "`300000`, any number",
            why: "the old README already promised 60000: a new or paused agent is noticed within a minute. Zero or a huge number made its timer spin.",
        }),
        ..PLAIN
    }
    HEALTH_CHECK_INTERVAL {
        section: Section::Operation,
        kind: Kind::Integer { min: 5_000, max: 45_000, why: "the backend calls a runtime dead after 90 s without a report, and one report may get lost" },
        fallback: Fallback::Value("30000"),
        about: "Milliseconds between two status reports to the backend, which calls a runtime dead after 90 s without one.",
        before: Some(Before {
            there: "`30000`, any number; the old sample file said 300000",
            why: "the same default, but 300000 showed the account offline most of the time, and zero or a huge number made its timer spin.",
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
        about: "The least important log lines that are still written.",
        before: Some(Before {
            there: "`debug`, `info`, `warn` and `error`; any other word meant `info`",
            why: "an unknown level is a mistake, because nobody can know what was meant.",
        }),
        ..PLAIN
    }
    LOG_FORMAT {
        section: Section::Operation,
        kind: Kind::Choice { options: &["text", "json"], synonyms: &[] },
        fallback: Fallback::Value("text"),
        about: "Log lines for people, or one JSON object per line for machines.",
        before: Some(Before { there: "no such variable: text", why: "log collectors want JSON." }),
        ..PLAIN
    }
    LOG_OUTPUT {
        section: Section::Operation,
        kind: Kind::Choice { options: &["stderr", "stdout"], synonyms: &[] },
        fallback: Fallback::Value("stderr"),
        about: "Where `run` writes its log lines: standard error or standard output.",
        before: Some(Before {
            there: "no such variable: `debug` and `info` lines on standard output, `warn` and `error` on standard error",
            why: "one stream keeps the lines in their order; standard output belongs to what commands print. A collector that reads standard output only needs `LOG_OUTPUT=stdout`.",
        }),
        ..PLAIN
    }
    UPGRADE_MODE {
        section: Section::Operation,
        kind: Kind::Choice { options: &["exit", "none"], synonyms: &[] },
        fallback: Fallback::Value("exit"),
        effect: Effect::NotYet { lacks: "does not act on restart and upgrade requests", quiet: Some("none") },
        about: "What a restart or upgrade request from the dashboard does: `exit` ends the process, for its supervisor to start it again; `none` only takes note of it.",
        before: Some(Before {
            there: "`exit`; any other word meant that the request was dropped silently",
            why: "a misspelt `exit` should not silently switch upgrades off; the other word is `none`.",
        }),
        ..PLAIN
    }

    OPENCLAW_PROFILE_SYNC {
        section: Section::Workspace,
        kind: Kind::Boolean,
        fallback: Fallback::Value("false"),
        effect: NO_WORKSPACES,
        about: "Whether the runtime writes agent workspaces and the gateway's generated configuration.",
        ..PLAIN
    }
    OPENCLAW_WORKSPACE_ROOT {
        section: Section::Workspace,
        kind: Kind::Path,
        fallback: Fallback::Value("/root/clawd/agents"),
        read_by: ReadBy::Both,
        effect: NO_WORKSPACES,
        about: "The folder of the agents' workspaces; both sides must mean the same one.",
        ..PLAIN
    }
    AI_GATEWAY_API_KEY {
        aliases: &["VERCEL_AI_GATEWAY_API_KEY"],
        section: Section::Workspace,
        kind: Kind::Secret { chars_max: KEY_CHARS_MAX },
        read_by: ReadBy::Both,
        effect: Effect::NotYet {
            lacks: "generates no configuration with model names (the gateway container uses the key itself)",
            quiet: None,
        },
        about: "If set, generated model names get the Vercel gateway's prefix. The runtime sends the key nowhere.",
        ..PLAIN
    }

    RUNTIME_VERSION {
        section: Section::Identity,
        fallback: Fallback::Derived("the version of this binary"),
        about: "The version this runtime reports.",
        before: Some(Before {
            there: "`npm_package_version`, else `0.1.0`",
            why: "a container that always reports `0.1.0` seems outdated after each upgrade and is restarted in a loop.",
        }),
        ..PLAIN
    }
    OPENCLAW_VERSION {
        section: Section::Identity,
        fallback: Fallback::Unset("detected, else `unknown`"),
        about: "The version reported for OpenClaw; if set, nothing is detected.",
        ..PLAIN
    }
    DROPLET_ID {
        section: Section::Identity,
        fallback: Fallback::Value("unknown"),
        about: "The id of this machine, for reports.",
        ..PLAIN
    }
    DROPLET_IP {
        section: Section::Identity,
        fallback: Fallback::Value("unknown"),
        about: "The address of this machine, for reports.",
        ..PLAIN
    }
    DROPLET_REGION {
        section: Section::Identity,
        fallback: Fallback::Value("unknown"),
        about: "The region of this machine, for reports.",
        ..PLAIN
    }

    OPENCLAW_MAX_CONCURRENT {
        section: Section::Container,
        kind: Kind::Integer { min: 1, max: 16, why: "that is the gateway container's own range" },
        fallback: Fallback::Value("10"),
        read_by: ReadBy::Gateway,
        about: "How many turns the gateway runs at once; should not be less than `DELIVERY_MAX_CONCURRENT_SESSIONS`.",
        ..PLAIN
    }
    OPENCLAW_SESSION_RETENTION_DAYS {
        section: Section::Container,
        kind: Kind::Integer { min: 0, max: 36_500, why: "no session needs to be kept for more than a hundred years" },
        fallback: Fallback::Unset("nothing is removed"),
        read_by: ReadBy::Gateway,
        about: "After how many days entries of the session index are removed; 0 removes all.",
        ..PLAIN
    }
    OPENCLAW_CONFIG_RELOAD {
        section: Section::Container,
        kind: Kind::Boolean,
        fallback: Fallback::Value("false"),
        read_by: ReadBy::Gateway,
        about: "Whether the gateway restarts when its generated configuration changes.",
        ..PLAIN
    }
    ANTHROPIC_API_KEY {
        about: "Key of a model provider, used without the Vercel key.",
        ..CONTAINER_KEY
    }
    OPENAI_API_KEY {
        about: "Key of a model provider, used without the Vercel key.",
        ..CONTAINER_KEY
    }
    BRAVE_API_KEY {
        about: "Key of the web search provider.",
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
        about: "The name on the agents' commits.",
        ..PLAIN
    }
    GIT_AUTHOR_EMAIL {
        section: Section::Container,
        fallback: Fallback::Unset("the container's own"),
        read_by: ReadBy::Gateway,
        common: true,
        about: "The address on the agents' commits.",
        ..PLAIN
    }
    OPENCLAW_BROWSER_EXECUTABLE_PATH {
        section: Section::Container,
        kind: Kind::Path,
        fallback: Fallback::Unset("detected"),
        read_by: ReadBy::Gateway,
        about: "The browser that agents drive.",
        ..PLAIN
    }
}

/// Names of the image build, the compose file and its scripts, which may share our env file. They are not
/// read here, and draw no warning.
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
];

/// Where systemd says that state belongs; consulted for [`STATE_DIR`], in the environment only, like the next two.
pub(super) const STATE_DIRECTORY: &str = "STATE_DIRECTORY";
/// Where a user's state belongs.
pub(super) const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
/// The user's folder.
pub(super) const HOME: &str = "HOME";
