//! The result of a run, as a table or as JSON.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::json;

use crate::app::child_runtime::shell_word;
use mcr_gateway_sim::load::Tally;

/// The number of faults that the table shows.
const SHOWN: usize = 20;

/// The result of a run.
pub(super) struct ChaosReport {
    pub(super) seconds: u64,
    pub(super) seed: u64,
    pub(super) kills: u64,
    /// The calls of the model.
    pub(super) turns: u64,
    pub(super) tally: Tally,
    /// How runtimes ended that were not killed.
    pub(super) unexpected: Vec<String>,
    /// The folder with state and log, kept if anything is wrong.
    pub(super) kept: Option<PathBuf>,
}

impl ChaosReport {
    /// Whether every effect happened exactly once, and no runtime ended by itself. A run without work shows nothing.
    pub(super) fn is_exact(&self) -> bool {
        self.tally.is_exact() && self.unexpected.is_empty() && self.tally.rows > 0
    }

    /// The faults of single rows and of the runtime.
    fn faults(&self) -> impl Iterator<Item = String> {
        let ended = self.unexpected.iter().map(|status| format!("the runtime ended by itself: {status}"));
        let nothing = (self.tally.rows == 0).then(|| "no rows were made; choose more --seconds".to_owned());
        self.tally.faults.iter().cloned().chain(ended).chain(nothing)
    }

    pub(super) fn table(&self) -> String {
        let Self { seconds, seed, kills, turns, tally, .. } = self;
        let Tally { rows, delivered, lost, duplicated, repeated_effects, .. } = tally;
        let mut text = format!(
            "\nThe runtime was killed {kills} times in {seconds} s, with seed {seed}. The model ran {turns} turns.\n\n  \
             delivered         {delivered} of {rows}\n  lost              {lost}\n  duplicated        {duplicated}\n  \
             repeated effects  {repeated_effects}\n\nThe board and the gateway were counted, not the runtime's reports.\n"
        );
        for fault in self.faults().take(SHOWN) {
            // A text in memory takes everything.
            let _ = writeln!(text, "  {fault}");
        }
        let hidden = self.faults().count().saturating_sub(SHOWN);
        if hidden > 0 {
            let _ = writeln!(text, "  and {hidden} more");
        }
        if let Some(kept) = &self.kept {
            let _ = writeln!(text, "State and log of the runtime are kept in {}", shell_word(kept));
        }
        text
    }

    pub(super) fn json(&self) -> String {
        let Tally { rows, delivered, lost, duplicated, repeated_effects, .. } = &self.tally;
        let report = json!({
            "exact": self.is_exact(), "seconds": self.seconds, "seed": self.seed, "kills": self.kills,
            "turns": self.turns, "rows": rows, "delivered": delivered, "lost": lost, "duplicated": duplicated,
            "repeatedEffects": repeated_effects, "faults": self.faults().collect::<Vec<_>>(),
            "kept": self.kept.as_ref().map(|path| path.display().to_string()),
        });
        format!("{report}\n")
    }
}
