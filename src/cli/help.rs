//! What `--help` prints: of everything, or of one command.

use crate::app::Exit;

/// A command as people see it.
struct Command {
    name: &'static str,
    /// How it is called, and what it does.
    lines: &'static str,
    /// One way to call it.
    example: &'static str,
}

const COMMANDS: [Command; 11] = [
    Command {
        name: "run",
        lines: "  run               The service (this is also what happens without a command)\n",
        example: "run --env-file /etc/mission-control-runtime.env",
    },
    Command {
        name: "doctor",
        lines: "  doctor            Check configuration, disk, clock, backend, gateway and service; say how to fix what is \
                wrong\n",
        example: "doctor --live",
    },
    Command {
        name: "status",
        lines: "  status            What the running service says of itself\n",
        example: "status --ready",
    },
    Command {
        name: "why",
        lines: "  why ID            What happened to a notification, a task or an agent, why, and what happens next\n",
        example: "why engineer",
    },
    Command {
        name: "dead",
        lines: "  dead list, dead show ID, dead retry ID, dead drop ID
                    What gave up; begin it again, or close it for good. `dead` alone means `dead list`\n",
        example: "dead list --json",
    },
    Command {
        name: "pause",
        lines: "  pause             No new turns begin, of anybody or of one agent; what runs goes on. It outlives restarts\n",
        example: "pause --agent engineer",
    },
    Command {
        name: "resume",
        lines: "  resume            Ends every pause, also those of single agents; with --agent that of one alone\n",
        example: "resume --agent engineer",
    },
    Command {
        name: "demo",
        lines: "  demo              Everything on this machine, to look at: Mission Control, its page, and a scripted team\n",
        example: "demo --port 0",
    },
    Command {
        name: "local",
        lines: "  local             An embedded Mission Control on this machine: its API, its page, its data
  local export FILE, local import FILE, local rotate-key
                    Copy all of its data; seal its provider keys with a new master key\n",
        example: "local --seed demo",
    },
    Command {
        name: "version",
        lines: "  version           Print version, target and commit\n",
        example: "version",
    },
    Command {
        name: "help",
        lines: "  help [COMMAND]    Print this, or what there is about one command (the same as COMMAND --help)\n",
        example: "help why",
    },
];

/// Options, and the commands that they go with.
const OPTIONS: [(&[&str], &str); 7] = [
    (
        &["run", "doctor", "status", "why", "dead", "pause", "resume"],
        "  --env-file FILE   Read variables from FILE where the environment does not set them
                    (default: /etc/mission-control-runtime.env, where it exists)\n",
    ),
    (
        &["doctor"],
        "  --all             List every variable, not only those that are set
  --live            Send one real turn to one agent, in a session of its own, and show the answer\n",
    ),
    (&["doctor", "status", "why", "dead"], "  --json            Print it as JSON\n"),
    (
        &["status"],
        "  --ready           Leave with 1 unless /readyz is 200: Mission Control has answered and deliveries run (a
                    gateway that is away, or a pause, does not change that)\n",
    ),
    (&["pause", "resume"], "  --agent NAME      Only this agent's turns, by slug or id\n"),
    (
        &["demo"],
        "  --port N          Where the page is, on 127.0.0.1 (default: 3210); 0 takes any free one\n",
    ),
    (
        &["local"],
        "  --listen ADDRESS  Where to listen (default: 127.0.0.1:3210)
  --data DIR        Where the data are (default: ./.mission-control), or :memory:
  --seed demo|FILE  What an empty place begins with: the demo team, or an export
  --redact          Answer as a production deployment does: without reasons
  --original        Keep the hosted backend's defects
  --notify URL      Tell the runtime at URL (such as http://127.0.0.1:3001) at once when there is something for it\n",
    ),
];

/// The names of all commands.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name)
}

/// All of it, or what there is about one command.
pub(super) fn text(of: Option<&str>) -> String {
    COMMANDS.iter().find(|command| Some(command.name) == of).map_or_else(whole, one)
}

fn whole() -> String {
    let mut text = "mission-control-runtime: carries what people and agents write in Mission Control
to the right OpenClaw session, and the answers back.

Usage: mission-control-runtime [COMMAND] [OPTIONS]

Commands:\n"
        .to_owned();
    text.extend(COMMANDS.iter().map(|command| command.lines));
    text.push('\n');
    for (of, lines) in OPTIONS {
        text.extend(["Options of ", &listed(of), ":\n", lines]);
    }
    text.push_str("\nExit codes:\n");
    text.extend(Exit::ALL.iter().map(|exit| format!("  {}  {}\n", exit.code(), exit.explain())));
    text
}

fn one(command: &Command) -> String {
    let options: String =
        OPTIONS.iter().filter(|(of, _)| of.contains(&command.name)).map(|(_, lines)| *lines).collect();
    let options = if options.is_empty() { options } else { format!("\nOptions:\n{options}") };
    format!("{}{options}\nExample:\n  mission-control-runtime {}\n", command.lines, command.example)
}

/// `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        names => names.join(""),
    }
}
