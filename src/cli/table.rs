//! The command table: names, subcommands, operands, options and texts of every command.
//!
//! Parsing, help, suggestions for typos, shell completions and the table in `docs/operations.md` derive from
//! [`COMMANDS`]. To add a command: add a row here, its options in [`super::options`], a variant of
//! [`super::Command`], a function in [`super::read`] that builds the variant, and an arm in [`super::main`].

use super::completions::Shell;
use super::features::Feature;
use super::machines;
use super::options::{self as opt, CommandOption, Value};
use super::read::{self, Given};
use super::state_commands;
use super::{Command, Misuse, fleet};

/// A command.
pub(super) struct CommandSpec {
    pub(super) name: &'static str,
    /// What the command does, in one short sentence. Help and completions show it.
    pub(super) purpose: &'static str,
    /// More sentences for the help. May be empty.
    pub(super) details: &'static str,
    /// The argument, if no subcommand is given.
    pub(super) operand: Option<Operand>,
    pub(super) subcommands: &'static [Subcommand],
    /// The options, if no subcommand is given.
    pub(super) options: &'static [&'static CommandOption],
    /// The arguments of an example. A test parses them.
    pub(super) example: &'static str,
    /// The feature that the command needs, if not every build has it.
    pub(super) needs: Option<Feature>,
    /// Builds the command from its arguments and options, which have been checked against this row.
    pub(super) read: fn(&mut Given) -> Result<Command, Misuse>,
}

/// A subcommand.
pub(super) struct Subcommand {
    pub(super) name: &'static str,
    pub(super) purpose: &'static str,
    pub(super) operand: Option<Operand>,
    pub(super) options: &'static [&'static CommandOption],
}

/// The argument of a command.
pub(super) struct Operand {
    /// The placeholder, such as `ID`.
    pub(super) name: &'static str,
    /// What is missing if a required argument is absent: the end of "`why` needs …". `None` if it is optional.
    pub(super) required: Option<&'static str>,
    pub(super) value: Value,
}

const LOOK_UP: &[&CommandOption] = &[&opt::ENV_FILE, &opt::STATE_DIR, &opt::JSON];
const BUDGET_OPTIONS: &[&CommandOption] = &[&opt::ENV_FILE, &opt::STATE_DIR, &opt::JSON, &opt::AGENT];

const NOTIFICATION: Option<Operand> =
    Some(Operand { name: "ID", required: Some("the id of a notification"), value: Value::Text });

const A_FILE: Option<Operand> = Some(Operand { name: "FILE", required: Some("a file"), value: Value::File });

/// What most commands have in common: nothing.
pub(super) const PLAIN: CommandSpec = CommandSpec {
    name: "",
    purpose: "",
    details: "",
    operand: None,
    subcommands: &[],
    options: &[],
    example: "",
    needs: None,
    read: read::absent,
};

/// All commands, in the order of the help.
pub(super) static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "run",
        purpose: "Run the service (the default)",
        options: &[&opt::ENV_FILE, &opt::STOP_ON_EOF],
        example: "run --env-file /etc/mission-control-runtime.env",
        read: read::run,
        ..PLAIN
    },
    CommandSpec {
        name: "worker",
        purpose: "Take jobs from the queue of an agent-factory deployment",
        details: "Needs CONVEX_URL and a gateway; no account and no service token.",
        options: &[&opt::ENV_FILE, &opt::STOP_ON_EOF],
        example: "worker --env-file /etc/mission-control-runtime.env",
        read: read::worker,
        ..PLAIN
    },
    CommandSpec {
        name: "doctor",
        purpose: "Check configuration, disk, clock, backend, gateway and service",
        details: "Explains how to fix each problem.",
        options: &[&opt::ENV_FILE, &opt::ALL, &opt::LIVE, &opt::CONFIG, &opt::PATCH, &opt::JSON],
        example: "doctor --live",
        read: read::doctor,
        ..PLAIN
    },
    CommandSpec {
        name: "status",
        purpose: "Show the state of the running service",
        options: &[&opt::ENV_FILE, &opt::STATE_DIR, &opt::JSON, &opt::READY],
        example: "status --ready",
        read: read::status,
        ..PLAIN
    },
    CommandSpec {
        name: "why",
        purpose: "Explain what happened to a notification, a task or an agent, and what happens next",
        operand: Some(Operand {
            name: "ID",
            required: Some("the id of a notification, a task or an agent, or the slug of an agent"),
            value: Value::Text,
        }),
        details: "The first four characters of an id are enough if they are unique.",
        options: LOOK_UP,
        example: "why engineer",
        read: read::why,
        ..PLAIN
    },
    CommandSpec {
        name: "evidence",
        purpose: "List the tasks that agents call ready or done although the recorded facts differ",
        details: "The facts of one task: `why TASK`. Without a running service, the ledger in STATE_DIR is read.",
        options: &[&opt::ENV_FILE, &opt::STATE_DIR, &opt::SINCE, &opt::JSON],
        example: "evidence --since 7d",
        read: read::evidence,
        ..PLAIN
    },
    CommandSpec {
        name: "dead",
        purpose: "List the deliveries that were given up, as `dead list` does",
        subcommands: &[
            Subcommand { name: "list", purpose: "List dead letters", operand: None, options: LOOK_UP },
            Subcommand {
                name: "show",
                purpose: "Show one dead letter, with the agent's answer",
                operand: NOTIFICATION,
                options: LOOK_UP,
            },
            Subcommand { name: "retry", purpose: "Start one again", operand: NOTIFICATION, options: LOOK_UP },
            Subcommand {
                name: "drop",
                purpose: "Close one permanently",
                operand: NOTIFICATION,
                options: LOOK_UP,
            },
        ],
        options: LOOK_UP,
        example: "dead list --json",
        read: read::dead,
        ..PLAIN
    },
    CommandSpec {
        name: "pause",
        purpose: "Start no new turns, of all agents or of one",
        details: "Running turns continue. Restarts keep the pause.",
        options: &[&opt::ENV_FILE, &opt::STATE_DIR, &opt::JSON, &opt::AGENT],
        example: "pause --agent engineer",
        read: read::pause,
        ..PLAIN
    },
    CommandSpec {
        name: "resume",
        purpose: "End every pause, including those of single agents; with --agent, only that one",
        options: &[&opt::ENV_FILE, &opt::STATE_DIR, &opt::JSON, &opt::AGENT],
        example: "resume --agent engineer",
        read: read::resume,
        ..PLAIN
    },
    CommandSpec {
        name: "budget",
        purpose: "Show the daily budgets, as `budget show` does",
        details: "AMT is a number of tokens (200000) or of dollars (5usd). Both changes apply until the day ends.",
        subcommands: &[
            Subcommand {
                name: "show",
                purpose: "Show the daily budgets, of all agents or of one",
                operand: None,
                options: BUDGET_OPTIONS,
            },
            Subcommand {
                name: "raise",
                purpose: "Raise today's limit to this amount, of all agents or of one",
                operand: Some(Operand { name: "AMT", required: Some("an amount"), value: Value::Text }),
                options: BUDGET_OPTIONS,
            },
            Subcommand {
                name: "reset",
                purpose: "Start today's counts from zero, of all agents or of one",
                operand: None,
                options: BUDGET_OPTIONS,
            },
        ],
        options: BUDGET_OPTIONS,
        example: "budget raise 500000 --agent writer",
        read: read::budget,
        ..PLAIN
    },
    CommandSpec {
        name: "gateway-config",
        purpose: "Write the configuration of the OpenClaw gateway",
        details: "Merges the variables of the gateway's container, a template and the generated agents. The file \
                  refers to variables and contains no secret.",
        options: &[&opt::TEMPLATE, &opt::OUT, &opt::EXISTING, &opt::GENERATED, &opt::RELEASE, &opt::CHECK],
        example: "gateway-config --template openclaw.template.json --out openclaw.json --check",
        read: read::gateway_config,
        ..PLAIN
    },
    CommandSpec {
        name: "demo",
        purpose: "Run Mission Control, its page and a scripted team on this machine",
        details: "The variables of the guardrails, such as TEAM_TURNS_MAX and BUDGET_DAILY_TOKENS, apply to it; \
                  --turns precedes DELIVERY_MAX_TURNS, and --chaos ignores them",
        options: &[
            &opt::JSON,
            &opt::PORT,
            &opt::RUNTIME_PORT,
            &opt::GATEWAY,
            &opt::GATEWAY_TOKEN_FILE,
            &opt::TURNS,
            &opt::CHAOS,
            &opt::SECONDS,
            &opt::CHAOS_SEED,
            &opt::FAULT,
        ],
        example: "demo --port 0",
        needs: Some(Feature::Demo),
        read: read::demo,
        ..PLAIN
    },
    CommandSpec {
        name: "demo-pool",
        purpose: "Run a worker pool with a chat on this machine: queue, two workers, a fake Telegram",
        details: "The chat has the port after that of the queue's page. A button kills a worker. With --stand-ins only the fake \
                  Telegram and the scripted gateway run, for a queue and workers of your own",
        options: &[&opt::PORT, &opt::STAND_INS],
        example: "demo-pool --port 0",
        needs: Some(Feature::Demo),
        read: read::demo_pool,
        ..PLAIN
    },
    CommandSpec {
        name: "rehearse",
        purpose: "Put a gateway that is not in use through the conformance cases: go or no-go",
        details: "Boards, tasks and sessions are its own, and Mission Control is only read for the names of the agents. The exit \
                  code is 1 for a no-go",
        options: &[
            &opt::ENV_FILE,
            &opt::JSON,
            &opt::CANDIDATE,
            &opt::TOKEN_FILE,
            &opt::AGENTS,
            &opt::CASES,
            &opt::MODEL_PORT,
            &opt::REAL_MODEL,
            &opt::RESTART,
            &opt::LIVE_GATEWAY,
        ],
        example: "rehearse --gateway http://127.0.0.1:18889 --token-file /run/candidate.token",
        needs: Some(Feature::Demo),
        read: read::rehearse,
        ..PLAIN
    },
    CommandSpec {
        name: "local",
        purpose: "Run an embedded Mission Control on this machine: API, page and data",
        subcommands: &[
            Subcommand {
                name: "export",
                purpose: "Copy all data into a file",
                operand: A_FILE,
                options: &[&opt::DATA],
            },
            Subcommand {
                name: "import",
                purpose: "Fill an empty data directory from a file",
                operand: A_FILE,
                options: &[&opt::DATA],
            },
            Subcommand {
                name: "status",
                purpose: "Check whether the server answers",
                operand: None,
                options: &[&opt::LISTEN],
            },
            Subcommand {
                name: "rotate-key",
                purpose: "Seal the provider keys with a new master key",
                operand: None,
                options: &[&opt::DATA],
            },
        ],
        options: &[
            &opt::LISTEN,
            &opt::HOSTS,
            &opt::DATA,
            &opt::SEED,
            &opt::REDACT,
            &opt::ORIGINAL,
            &opt::NOTIFY,
            &opt::RUNTIME_PAGE,
            &opt::ENV_OUT,
            &opt::PUBLIC_URL,
            &opt::TRUST_PROXY,
            &opt::MACHINE_RELEASE,
            &opt::SSH_KEYS,
            &opt::DESTROY_SILENT,
            &opt::POOL_LEASE,
            &opt::POOL_STALE,
        ],
        example: "local --seed demo",
        needs: Some(Feature::MissionControl),
        read: read::local,
        ..PLAIN
    },
    fleet::SPEC,
    state_commands::SKILLS,
    state_commands::SNAPSHOT,
    machines::FLY_CLEANUP,
    machines::PROVISION,
    machines::BOOTSTRAP,
    CommandSpec {
        name: "completions",
        purpose: "Print the completions of a shell",
        details: "bash: source <(mission-control-runtime completions bash). \
                  zsh: save them as `_mission-control-runtime` in a folder of $fpath. \
                  fish: mission-control-runtime completions fish | source.",
        operand: Some(Operand {
            name: "bash|zsh|fish",
            required: Some("a shell: bash, zsh or fish"),
            value: Value::OneOf(Shell::NAMES),
        }),
        example: "completions bash",
        read: read::completions,
        ..PLAIN
    },
    CommandSpec {
        name: "version",
        purpose: "Print version, target, C library, edition and commit",
        options: &[&opt::JSON],
        example: "version --json",
        read: read::version,
        ..PLAIN
    },
    CommandSpec {
        name: "help",
        purpose: "Print this help, or the help on one command (like COMMAND --help)",
        operand: Some(Operand { name: "COMMAND", required: None, value: Value::Command }),
        example: "help why",
        read: read::help,
        ..PLAIN
    },
];

/// The options and the argument of a command line.
pub(super) struct Accepted {
    pub(super) options: &'static [&'static CommandOption],
    pub(super) operand: Option<&'static Operand>,
}

impl CommandSpec {
    /// Whether a build with these features has the command.
    pub(super) fn is_in(&self, build: &[Feature]) -> bool {
        self.needs.is_none_or(|feature| build.contains(&feature))
    }

    /// The subcommand with this name.
    pub(super) fn subcommand(&'static self, name: &str) -> Option<&'static Subcommand> {
        self.subcommands.iter().find(|subcommand| subcommand.name == name)
    }

    /// What the command accepts, with this subcommand or without one.
    pub(super) fn accepted(&'static self, subcommand: Option<&'static Subcommand>) -> Accepted {
        match subcommand {
            Some(sub) => Accepted { options: sub.options, operand: sub.operand.as_ref() },
            None => Accepted { options: self.options, operand: self.operand.as_ref() },
        }
    }

    /// Whether the command or one of its subcommands accepts this option.
    pub(super) fn accepts(&self, option: &'static CommandOption) -> bool {
        let of_subcommands = self.subcommands.iter().flat_map(|subcommand| subcommand.options);
        self.options.iter().chain(of_subcommands).any(|known| std::ptr::eq(*known, option))
    }
}

/// The commands of a build with these features.
pub(super) fn commands(build: &[Feature]) -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.iter().filter(|command| command.is_in(build))
}

/// The command with this name, in a build with these features.
pub(super) fn find(name: &str, build: &[Feature]) -> Option<&'static CommandSpec> {
    commands(build).find(|command| command.name == name)
}

/// The feature that a build lacks for this command. `None` if the build has the command, or no build has it.
pub(super) fn lacks(build: &[Feature], name: &str) -> Option<Feature> {
    COMMANDS.iter().find(|command| command.name == name && !command.is_in(build))?.needs
}
