//! How a turn under way does: one word for `why`, `/health`, `/metrics` and the page.

use mcr_model::words;

words! {
    /// How a turn does, judged by its signs of life.
    TurnState {
        /// It has shown a sign of life lately.
        Working = "working",
        /// The gateway has not begun it, and is busy with others of ours.
        Waiting = "waiting",
        /// It has not shown one for a while; that may be a long thought.
        Quiet = "quiet",
        /// For longer than anything takes.
        Stuck = "stuck",
    }
}
