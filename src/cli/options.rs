//! The options of all commands. [`super::table`] says which command accepts which.

/// An option.
pub(super) struct CommandOption {
    /// The name without the leading dashes.
    pub(super) name: &'static str,
    /// The placeholder and the kind of the value. `None` for a flag.
    pub(super) value: Option<(&'static str, Value)>,
    /// What the option does: a phrase or sentences. Help and completions show it.
    pub(super) purpose: &'static str,
}

/// What a value is. Completions depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Text that the shell cannot complete.
    Text,
    /// A file.
    File,
    /// A folder.
    Folder,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, or a file.
    OneOfOrFile(&'static [&'static str]),
    /// The name of a command.
    Command,
}

const fn flag(name: &'static str, purpose: &'static str) -> CommandOption {
    CommandOption { name, value: None, purpose }
}

const fn with(
    name: &'static str,
    placeholder: &'static str,
    value: Value,
    purpose: &'static str,
) -> CommandOption {
    CommandOption { name, value: Some((placeholder, value)), purpose }
}

pub(super) static ENV_FILE: CommandOption = with(
    "env-file",
    "FILE",
    Value::File,
    "Read variables from FILE where the environment does not set them (default: \
     /etc/mission-control-runtime.env, where it exists)",
);
pub(super) static STATE_DIR: CommandOption = with(
    "state-dir",
    "DIR",
    Value::Folder,
    "The state folder of the service; no other configuration is needed (default: the variable STATE_DIR)",
);
pub(super) static ALL: CommandOption = flag("all", "List every variable, not only those that are set");
pub(super) static LIVE: CommandOption =
    flag("live", "Send one real turn to one agent, in a separate session, and show the answer");
pub(super) static CONFIG: CommandOption = with(
    "config",
    "FILE",
    Value::File,
    "The gateway's openclaw.json (default: the configuration as the gateway shows it, else the file in OPENCLAW_CONFIG_PATH)",
);
pub(super) static PATCH: CommandOption = with(
    "patch",
    "FILE",
    Value::File,
    "Write the change that repairs the gateway's configuration to the new FILE, and show it. Nothing else is changed",
);
pub(super) static JSON: CommandOption = flag("json", "Print JSON");
pub(super) static READY: CommandOption = flag(
    "ready",
    "Exit with 1 unless /readyz is 200: Mission Control has answered and deliveries run (an unreachable \
     gateway, or a pause, does not change that)",
);
pub(super) static AGENT: CommandOption =
    with("agent", "NAME", Value::Text, "Only this agent's turns, by slug or id");
pub(super) static SINCE: CommandOption = with(
    "since",
    "TIME",
    Value::Text,
    "Only tasks with activity in this time, such as 30m, 12h or 7d (default: 7d)",
);
pub(super) static STOP_ON_EOF: CommandOption = flag(
    "stop-on-eof",
    "Stop when standard input closes, so that a parent process that dies leaves no service",
);
pub(super) static PORT: CommandOption =
    with("port", "N", Value::Text, "The board's port on 127.0.0.1 (default: 3210); 0 takes any free port");
pub(super) static RUNTIME_PORT: CommandOption = with(
    "runtime-port",
    "N",
    Value::Text,
    "The port of the runtime's page (default: the port after the board's: 3211)",
);
pub(super) static GATEWAY: CommandOption = with(
    "gateway",
    "URL",
    Value::Text,
    "Use a real OpenClaw at URL instead of scripted agents. Its token comes from the variable \
     OPENCLAW_GATEWAY_TOKEN or from the file of --gateway-token-file",
);
pub(super) static GATEWAY_TOKEN_FILE: CommandOption =
    with("gateway-token-file", "FILE", Value::File, "With --gateway: the file that contains its token");
pub(super) static TURNS: CommandOption =
    with("turns", "N", Value::Text, "With --gateway: send no more than N turns (default: 60)");
pub(super) static CANDIDATE: CommandOption = with(
    "gateway",
    "URL",
    Value::Text,
    "The address of the gateway that is rehearsed with. It should not be in use",
);
pub(super) static TOKEN_FILE: CommandOption = with(
    "token-file",
    "FILE",
    Value::File,
    "The file with the gateway's token (default: OPENCLAW_GATEWAY_TOKEN, if the gateway is on this machine or on the host of OPENCLAW_GATEWAY_URL)",
);
pub(super) static AGENTS: CommandOption = with(
    "agents",
    "NAME,…",
    Value::Text,
    "The agents that the gateway must have, by slug (default: those of the account if it is configured, else those that the \
     gateway lists)",
);
pub(super) static CASES: CommandOption =
    with("cases", "NAME,…", Value::Text, "Only these cases (default: all)");
pub(super) static MODEL_PORT: CommandOption = with(
    "model-port",
    "N",
    Value::Text,
    "The port of the scripted model on 127.0.0.1 (default: 18790). The gateway's provider must have the baseUrl \
     http://127.0.0.1:18790/v1 and the API openai-completions",
);
pub(super) static REAL_MODEL: CommandOption = flag(
    "real-model",
    "Use the gateway's own model: only the cases that need no scripted one, with 20 turns at most",
);
pub(super) static RESTART: CommandOption = with(
    "restart",
    "FILE",
    Value::File,
    "A program that kills the gateway, starts it again at its address and ends once it listens. Without it, the case \
     gateway-killed is skipped",
);
pub(super) static LIVE_GATEWAY: CommandOption =
    flag("live", "Rehearse with the gateway in OPENCLAW_GATEWAY_URL although it is in use");
pub(super) static TEMPLATE: CommandOption =
    with("template", "FILE", Value::File, "The file to begin with where the gateway has none");
pub(super) static OUT: CommandOption =
    with("out", "FILE", Value::File, "The gateway's openclaw.json. Rewritten only if its meaning changes");
pub(super) static EXISTING: CommandOption =
    with("existing", "FILE", Value::File, "The gateway's present file (default: the one of --out)");
pub(super) static GENERATED: CommandOption =
    with("generated", "FILE", Value::File, "What the runtime generated: agents, workspaces and skills");
pub(super) static RELEASE: CommandOption = with(
    "release",
    "TEXT",
    Value::Text,
    "The gateway's release, as `openclaw --version` prints it (default: the current form)",
);
pub(super) static CHECK: CommandOption =
    flag("check", "Print whether the file would change, and write nothing");
pub(super) static CHAOS: CommandOption = flag(
    "chaos",
    "Kill the runtime every few seconds under load, and count what was lost, duplicated or repeated. The exit \
     code is 1 unless all are 0",
);
pub(super) static SECONDS: CommandOption =
    with("seconds", "N", Value::Text, "With --chaos: kill for N seconds (default: 90)");
pub(super) static CHAOS_SEED: CommandOption =
    with("seed", "N", Value::Text, "With --chaos: kill at the moments of the run with this seed");
pub(super) static FAULT: CommandOption = with(
    "fault",
    "loss|post|effect",
    Value::OneOf(&["loss", "post", "effect"]),
    "With --chaos: damage one record, to see that the count notices it",
);
pub(super) static STAND_INS: CommandOption = flag(
    "stand-ins",
    "Run only the fake Telegram and the scripted gateway, and print the variables of a worker",
);
pub(super) static LISTEN: CommandOption =
    with("listen", "ADDRESS", Value::Text, "The address to listen on (default: 127.0.0.1:3210)");
pub(super) static HOSTS: CommandOption = with(
    "hosts",
    "NAME,…",
    Value::Text,
    "The names under which clients reach it, such as that of a reverse proxy; required for an address that \
     admits other machines",
);
pub(super) static DATA: CommandOption =
    with("data", "DIR", Value::Folder, "The data directory (default: ./.mission-control), or :memory:");
pub(super) static ENV_OUT: CommandOption = with(
    "env-out",
    "FILE",
    Value::File,
    "Write the variables of a runtime (account, address, service token) to FILE, readable for its owner only, and print no \
     secret",
);
pub(super) static SEED: CommandOption = with(
    "seed",
    "demo|FILE",
    Value::OneOfOrFile(&["demo"]),
    "Fill an empty data directory with the demo team, or with an export",
);
pub(super) static REDACT: CommandOption =
    flag("redact", "Hide the reasons of errors, as a production deployment does");
pub(super) static ORIGINAL: CommandOption = flag("original", "Keep the hosted backend's defects");
pub(super) static NOTIFY: CommandOption = with(
    "notify",
    "URL",
    Value::Text,
    "Notify the runtime at URL (such as http://127.0.0.1:3001) of new work at once",
);
pub(super) static RUNTIME_PAGE: CommandOption = with(
    "runtime-page",
    "URL",
    Value::Text,
    "The address at which people open the runtime's page; the page of Mission Control links to it",
);
pub(super) static PUBLIC_URL: CommandOption = with(
    "public-url",
    "URL",
    Value::Text,
    "The HTTPS address under which machines reach this server through a proxy; people may then request machines",
);
pub(super) static TRUST_PROXY: CommandOption = with(
    "trust-proxy",
    "IP,…",
    Value::Text,
    "The addresses from which the proxy connects. Only its headers about clients are believed",
);
pub(super) static MACHINE_RELEASE: CommandOption = with(
    "release",
    "URL#sha256=HEX",
    Value::Text,
    "The archive of the runtime that new machines install, with its checksum",
);
pub(super) static SSH_KEYS: CommandOption =
    with("ssh-keys", "ID,…", Value::Text, "Ids or fingerprints of the SSH keys for new machines");
pub(super) static DESTROY_SILENT: CommandOption = flag(
    "destroy-silent",
    "Destroy a new machine that does not report in time, instead of keeping it for a look",
);
pub(super) static POOL_LEASE: CommandOption = with(
    "pool-lease",
    "SECONDS",
    Value::Text,
    "How long a worker holds a message of the pool without a heartbeat (default: 360)",
);
pub(super) static POOL_STALE: CommandOption = with(
    "pool-stale",
    "SECONDS",
    Value::Text,
    "The silence after which a worker of the pool must stop (default: 420)",
);
pub(super) static BOARD_URL: CommandOption = with(
    "url",
    "URL",
    Value::Text,
    "The address of the embedded Mission Control (default: http://127.0.0.1:3210)",
);
pub(super) static ADMIN_KEY_FILE: CommandOption = with(
    "admin-key-file",
    "FILE",
    Value::File,
    "The file with its admin key (default: ./.mission-control/admin-key)",
);
pub(super) static TO_VERSION: CommandOption =
    with("to", "VERSION", Value::Text, "The version of the runtime");
pub(super) static TO_OPENCLAW: CommandOption =
    with("openclaw", "VERSION", Value::Text, "The version of OpenClaw (default: as it is)");
pub(super) static MINUTES: CommandOption =
    with("minutes", "N", Value::Text, "How long each runtime may take (default: 30)");
pub(super) static MACHINE_PROVIDER: CommandOption = with(
    "provider",
    "NAME",
    Value::OneOf(super::fleet::PROVIDERS),
    "The provider of the machine, such as digitalocean",
);
pub(super) static MACHINE_REGION: CommandOption =
    with("region", "NAME", Value::Text, "Where the machine runs, such as fra1");
pub(super) static MACHINE_SIZE: CommandOption =
    with("size", "NAME", Value::Text, "The size of the machine, such as s-1vcpu-2gb");
pub(super) static MACHINE_IMAGE: CommandOption =
    with("image", "NAME", Value::Text, "The image of its disk, such as debian-13-x64");
pub(super) static MACHINE_TOKEN_FILE: CommandOption =
    with("token-file", "FILE", Value::File, "The file with the token of the provider");

pub(super) static SKILL_NAME: CommandOption =
    with("as", "NAME@VERSION", Value::Text, "The slug and the version of the skill, such as weather@1.2.0");
pub(super) static CONVERSATION: CommandOption = with(
    "conversation",
    "ID",
    Value::Text,
    "The conversation whose state it is (default: OPENCLAW_CONVERSATION_ID)",
);
pub(super) static PROVIDER: CommandOption = with(
    "provider",
    "NAME",
    Value::OneOf(&["digitalocean"]),
    "Where the machine runs (default: digitalocean)",
);
pub(super) static ACCOUNT: CommandOption =
    with("account", "ID", Value::Text, "The account that the machine serves");
pub(super) static MACHINE: CommandOption = with(
    "machine",
    "ID",
    Value::Text,
    "With `destroy`: one machine by the provider's id. It must bear the tag",
);
pub(super) static RUNTIME_ENV: CommandOption = with(
    "runtime-env",
    "FILE",
    Value::File,
    "The variables of the runtime, with its secrets. They are copied with ssh after the machine has started",
);
pub(super) static HOST_KEY: CommandOption = with(
    "host-key",
    "SHA256:…",
    Value::Text,
    "The fingerprint of the machine's host key, as its console shows it (default: it is shown and asked for)",
);
pub(super) static PLAN: CommandOption =
    flag("dry-run", "Only show the plan: requests, price, and what the machine does at its first start");
pub(super) static STDIN: CommandOption =
    flag("stdin", "Take the variables from standard input instead of a control plane");
pub(super) static APP: CommandOption = with("app", "NAME", Value::Text, "The app at Fly");
pub(super) static DRY_RUN: CommandOption = flag("dry-run", "Only show what would be deleted (the default)");
pub(super) static YES: CommandOption = flag("yes", "Delete it");

/// All options, in the order of the help. Options with the same name take a value in all commands, or in none.
pub(super) static ALL_OPTIONS: &[&CommandOption] = &[
    &ENV_FILE,
    &STATE_DIR,
    &STOP_ON_EOF,
    &STAND_INS,
    &ALL,
    &LIVE,
    &CONFIG,
    &PATCH,
    &JSON,
    &READY,
    &AGENT,
    &SINCE,
    &PORT,
    &RUNTIME_PORT,
    &GATEWAY,
    &GATEWAY_TOKEN_FILE,
    &TURNS,
    &CANDIDATE,
    &TOKEN_FILE,
    &AGENTS,
    &CASES,
    &MODEL_PORT,
    &REAL_MODEL,
    &RESTART,
    &LIVE_GATEWAY,
    &TEMPLATE,
    &OUT,
    &EXISTING,
    &GENERATED,
    &RELEASE,
    &CHECK,
    &CHAOS,
    &SECONDS,
    &CHAOS_SEED,
    &FAULT,
    &LISTEN,
    &HOSTS,
    &DATA,
    &SEED,
    &REDACT,
    &ORIGINAL,
    &NOTIFY,
    &SKILL_NAME,
    &CONVERSATION,
    &APP,
    &DRY_RUN,
    &YES,
    &PROVIDER,
    &ACCOUNT,
    &RUNTIME_ENV,
    &HOST_KEY,
    &PLAN,
    &MACHINE,
    &STDIN,
    &RUNTIME_PAGE,
    &ENV_OUT,
    &PUBLIC_URL,
    &TRUST_PROXY,
    &MACHINE_RELEASE,
    &SSH_KEYS,
    &DESTROY_SILENT,
    &POOL_LEASE,
    &POOL_STALE,
    &BOARD_URL,
    &ADMIN_KEY_FILE,
    &TO_VERSION,
    &TO_OPENCLAW,
    &MINUTES,
    &MACHINE_PROVIDER,
    &MACHINE_REGION,
    &MACHINE_SIZE,
    &MACHINE_IMAGE,
    &MACHINE_TOKEN_FILE,
];
