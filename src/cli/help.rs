//! The text of `--help`, for everything or for one command.

use super::features::Feature;
use crate::app::Exit;

/// A command as the help shows it.
struct CommandHelp {
    name: &'static str,
    /// The usage and what the command does.
    lines: &'static str,
    /// An example.
    example: &'static str,
    /// The feature that the command needs, if not every build has it.
    needs: Option<Feature>,
}

const COMMANDS: [CommandHelp; 12] = [
    CommandHelp {
        name: "run",
        lines: "  run               Run the service (the default)\n",
        example: "run --env-file /etc/mission-control-runtime.env",
        needs: None,
    },
    CommandHelp {
        name: "doctor",
        lines: "  doctor            Check configuration, disk, clock, backend, gateway and service; explain how to fix \
                problems\n",
        example: "doctor --live",
        needs: None,
    },
    CommandHelp {
        name: "status",
        lines: "  status            Show the state of the running service\n",
        example: "status --ready",
        needs: None,
    },
    CommandHelp {
        name: "why",
        lines: "  why ID            Explain what happened to a notification, a task or an agent, and what happens next\n",
        example: "why engineer",
        needs: None,
    },
    CommandHelp {
        name: "dead",
        lines: "  dead list, dead show ID, dead retry ID, dead drop ID
                    Deliveries that were given up: list, show, retry or close them. `dead` means `dead list`\n",
        example: "dead list --json",
        needs: None,
    },
    CommandHelp {
        name: "pause",
        lines: "  pause             Start no new turns, of all agents or of one. Running turns continue; restarts keep it\n",
        example: "pause --agent engineer",
        needs: None,
    },
    CommandHelp {
        name: "resume",
        lines: "  resume            End every pause, including those of single agents; with --agent, only that one\n",
        example: "resume --agent engineer",
        needs: None,
    },
    CommandHelp {
        name: "gateway-config",
        lines: "  gateway-config    Write the configuration of the OpenClaw gateway from its environment, a template and the
                    generated roster\n",
        example: "gateway-config --template openclaw.template.json --out ~/.openclaw/openclaw.json --check",
        needs: None,
    },
    CommandHelp {
        name: "demo",
        lines: "  demo              Run Mission Control, its page and a scripted team on this machine\n",
        example: "demo --port 0",
        needs: Some(Feature::Demo),
    },
    CommandHelp {
        name: "local",
        lines: "  local             Run an embedded Mission Control on this machine: API, page and data
  local export FILE, local import FILE, local rotate-key
                    Copy all its data; seal its provider keys with a new master key\n",
        example: "local --seed demo",
        needs: Some(Feature::MissionControl),
    },
    CommandHelp {
        name: "version",
        lines: "  version           Print version, target and commit\n",
        example: "version",
        needs: None,
    },
    CommandHelp {
        name: "help",
        lines: "  help [COMMAND]    Print this help, or the help on one command (like COMMAND --help)\n",
        example: "help why",
        needs: None,
    },
];

/// Options, and the commands that accept them.
const OPTIONS: [(&[&str], &str); 8] = [
    (
        &["run", "doctor", "status", "why", "dead", "pause", "resume"],
        "  --env-file FILE   Read variables from FILE where the environment does not set them
                    (default: /etc/mission-control-runtime.env, where it exists)\n",
    ),
    (
        &["doctor"],
        "  --all             List every variable, not only those that are set
  --live            Send one real turn to one agent, in a separate session, and show the answer\n",
    ),
    (&["doctor", "status", "why", "dead"], "  --json            Print JSON\n"),
    (
        &["status"],
        "  --ready           Exit with 1 unless /readyz is 200: Mission Control has answered and deliveries run (an
                    unreachable gateway, or a pause, does not change that)\n",
    ),
    (&["pause", "resume"], "  --agent NAME      Only this agent's turns, by slug or id\n"),
    (
        &["gateway-config"],
        "  --template FILE   The file to begin with where the gateway has none
  --out FILE        The gateway's openclaw.json. Rewritten only if its meaning changes, readable for its owner only
  --existing FILE   The gateway's present file (default: the one to write)
  --generated FILE  What the runtime generated: agents, workspaces, skills
  --release TEXT    The gateway's release, as `openclaw --version` prints it (default: the current form)
  --check           Say whether the file would change, and write nothing\n",
    ),
    (
        &["demo"],
        "  --port N          The page's port on 127.0.0.1 (default: 3210); 0 takes any free port\n",
    ),
    (
        &["local"],
        "  --listen ADDRESS  The address to listen on (default: 127.0.0.1:3210)
  --data DIR        The data directory (default: ./.mission-control), or :memory:
  --seed demo|FILE  Fill an empty data directory with the demo team, or with an export
  --redact          Hide the reasons of errors, as a production deployment does
  --original        Keep the hosted backend's defects
  --notify URL      Notify the runtime at URL (such as http://127.0.0.1:3001) of new work at once\n",
    ),
];

impl CommandHelp {
    fn is_in(&self, build: &[Feature]) -> bool {
        self.needs.is_none_or(|feature| build.contains(&feature))
    }
}

/// The names of the commands in a build with these features.
pub(super) fn names(build: &[Feature]) -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().filter(|command| command.is_in(build)).map(|command| command.name)
}

/// The feature that a build lacks for this command. `None` if the build has the command, or no build has it.
pub(super) fn lacks(build: &[Feature], name: &str) -> Option<Feature> {
    COMMANDS.iter().find(|command| command.name == name && !command.is_in(build))?.needs
}

/// The help on one command, or on everything in a build with these features.
pub(super) fn text(of: Option<&str>, build: &[Feature]) -> String {
    let asked = COMMANDS.iter().find(|command| Some(command.name) == of && command.is_in(build));
    asked.map_or_else(|| whole(build), one)
}

fn whole(build: &[Feature]) -> String {
    let mut text = "mission-control-runtime: delivers what people and agents write in Mission Control
to the right OpenClaw session, and posts the answers.

Usage: mission-control-runtime [COMMAND] [OPTIONS]

Commands:\n"
        .to_owned();
    text.extend(COMMANDS.iter().filter(|command| command.is_in(build)).map(|command| command.lines));
    text.push('\n');
    for (of, lines) in OPTIONS {
        let of: Vec<&str> = names(build).filter(|name| of.contains(name)).collect();
        if !of.is_empty() {
            text.extend(["Options of ", &listed(&of), ":\n", lines]);
        }
    }
    text.push_str("\nExit codes:\n");
    text.extend(Exit::ALL.iter().map(|exit| format!("  {}  {}\n", exit.code(), exit.explain())));
    text
}

fn one(command: &CommandHelp) -> String {
    let options: String =
        OPTIONS.iter().filter(|(of, _)| of.contains(&command.name)).map(|(_, lines)| *lines).collect();
    let options = if options.is_empty() { options } else { format!("\nOptions:\n{options}") };
    format!("{}{options}\nExample:\n  mission-control-runtime {}\n", command.lines, command.example)
}

/// Joins names as `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [names @ .., last] if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        names => names.join(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: [Feature; 2] = [Feature::MissionControl, Feature::Demo];

    #[test]
    fn help_lists_only_what_the_build_has() {
        let full = text(None, &FULL);
        for (feature, shown) in [
            (Feature::MissionControl, ["  local  ", "  --listen ADDRESS", "Options of local:"]),
            (Feature::Demo, ["  demo  ", "  --port N", "Options of demo:"]),
        ] {
            let others: Vec<Feature> = FULL.into_iter().filter(|other| *other != feature).collect();
            for text_of_it in shown {
                assert!(full.contains(text_of_it), "{text_of_it}");
                assert!(!text(None, &others).contains(text_of_it), "{text_of_it}");
                assert!(!text(None, &[]).contains(text_of_it), "{text_of_it}");
            }
        }
        assert!(text(None, &[]).contains("  run  "));
        assert_eq!(text(Some("demo"), &[]), text(None, &[]));
    }

    #[test]
    fn a_command_is_in_the_build_or_names_the_feature_it_needs() {
        assert_eq!(names(&FULL).count(), COMMANDS.len());
        assert_eq!(lacks(&FULL, "demo"), None);
        assert_eq!(lacks(&[], "demo"), Some(Feature::Demo));
        assert_eq!(lacks(&[Feature::Demo], "local"), Some(Feature::MissionControl));
        assert_eq!((lacks(&[], "run"), lacks(&[], "dance")), (None, None));
    }
}
