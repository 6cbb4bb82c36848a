//! The text that the demo prints when it is ready: commands to try, and last the links and the key, so that they stay
//! visible above the prompt.

use std::fmt::Write as _;
use std::path::Path;

use super::gateway::RealGateway;
use crate::app::child_runtime::shell_word;
use crate::app::embedded::Board;

/// The commands that work with `STATE_DIR` alone.
const COMMANDS: [&str; 5] = ["status", "why engineer", "dead", "pause", "resume"];

/// The agents that a real gateway needs for the demo team.
const AGENTS: &str = "squad-lead, engineer, qa, designer, writer";

/// Printed when the runtime has sent the last permitted turn.
pub(super) const TURN_LIMIT: &str = "\nStopped: all permitted turns are sent. Deliveries keep their progress and wait. `status`, `why` and \
    the runtime's page name the limit.\nFor more turns, end the demo with Ctrl-C and start it with --turns N, or with a larger\nDELIVERY_MAX_TURNS.\n";

/// The introduction. `live` is the link to the runtime's page, if it is known.
pub(super) fn text(
    board: &Board,
    live: Option<&str>,
    state_dir: &Path,
    real: Option<&RealGateway>,
) -> String {
    let mut text = match real {
        None => "\nMission Control with a demo team. All of it runs on this machine, and nothing is kept.\n\
                 The agents are scripted: no language model runs, and their texts were written in advance.\n\n"
            .to_owned(),
        Some(real) => format!(
            "\nMission Control with a demo team on the gateway {}. The board runs on this machine, and nothing is kept.\n\
             The agents answer with the gateway's model. The demo stops after {} turns.\n\
             The gateway needs these agents: {AGENTS}.\n\n",
            real.url, real.turns
        ),
    };
    // A text in memory takes everything, so the results of writing are ignored.
    let program =
        std::env::current_exe().map_or_else(|_| env!("CARGO_PKG_NAME").to_owned(), |path| shell_word(&path));
    let _ =
        writeln!(text, "Commands to try in another terminal:\n\nexport STATE_DIR={}", shell_word(state_dir));
    for command in COMMANDS {
        let _ = writeln!(text, "{program} {command}");
    }
    let _ = write!(text, "\n{}\n", board.lines_for_runtime());
    let mut entry = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    entry("Watch", "Robin asks the team for something at once, and again after you log in");
    entry(
        "Try",
        "write in a task: \u{201c}@engineer, could you \u{2026}\u{201d}, or assign an agent to a new task",
    );
    entry("End", "Ctrl-C");
    if let Some(live) = live {
        entry("Live", live);
    }
    entry("Open", &board.url);
    entry("Log in", "with this key:");
    text.push_str(&board.line_for_login());
    text
}
