//! The state of an active turn: one word for `why`, `/health`, `/metrics` and the page.

use mcr_model::words;

words! {
    /// The state of a turn, judged by its signs of life.
    TurnState {
        /// Recent sign of life.
        Working = "working",
        /// Not started: the gateway is busy with other turns of this service.
        Waiting = "waiting",
        /// No sign of life for a while; the model may be thinking.
        Quiet = "quiet",
        /// No sign of life for longer than any turn should need.
        Stuck = "stuck",
    }
}
