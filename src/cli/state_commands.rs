//! The rows of the commands about the state of a worker's agent: `skills` and `snapshot`.

use super::options::{self as opt, CommandOption, Value};
use super::read;
use super::table::{CommandSpec, Operand, PLAIN, Subcommand};

const SNAPSHOT_OPTIONS: &[&CommandOption] = &[&opt::ENV_FILE, &opt::CONVERSATION, &opt::JSON];

pub(super) const SKILLS: CommandSpec = CommandSpec {
    name: "skills",
    purpose: "Check, pack or install the skills that a queue component publishes",
    subcommands: &[
        Subcommand {
            name: "verify",
            purpose: "Compare the skills in a folder with their markers, or check the file of a manifest",
            operand: Some(Operand {
                name: "PATH",
                required: Some("a folder with skills, or the file of a manifest"),
                value: Value::File,
            }),
            options: &[&opt::JSON],
        },
        Subcommand {
            name: "pack",
            purpose: "Print the bundle of a folder, with its checksums",
            operand: Some(Operand { name: "DIR", required: Some("a folder"), value: Value::Folder }),
            options: &[&opt::SKILL_NAME, &opt::JSON],
        },
        Subcommand {
            name: "sync",
            purpose: "Install the skills of the queue in OPENCLAW_SKILLS_DIR: all of them, or none",
            operand: None,
            options: &[&opt::ENV_FILE, &opt::JSON],
        },
    ],
    example: "skills pack skills/weather --as weather@1.2.0",
    read: read::skills,
    ..PLAIN
};

pub(super) const SNAPSHOT: CommandSpec = CommandSpec {
    name: "snapshot",
    purpose: "Store or restore the state of a worker's agent",
    details: "The state is OPENCLAW_STATE_DIR and OPENCLAW_WORKSPACE_DIR, without secrets. Stop the gateway before.",
    subcommands: &[
        Subcommand {
            name: "create",
            purpose: "Make a snapshot and store it at the queue",
            operand: None,
            options: SNAPSHOT_OPTIONS,
        },
        Subcommand {
            name: "restore",
            purpose: "Restore the newest good snapshot, unless the state is in use",
            operand: None,
            options: SNAPSHOT_OPTIONS,
        },
        Subcommand {
            name: "list",
            purpose: "Show the newest snapshot at the queue, and those on this disk",
            operand: None,
            options: SNAPSHOT_OPTIONS,
        },
    ],
    example: "snapshot list --conversation telegram:1:2",
    read: read::snapshot,
    ..PLAIN
};
