//! What `/health` says of the rows.

use mcr_core::delivery::scheduler::Standing;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_service::delivery::inflight::Seen;
use mcr_service::http::health::{DeliveryConfig, DeliveryHealth, TurnHealth, seconds};

/// How the delivery stands, with the turns under way; `excerpt` makes errors fit to be shown.
pub(super) fn delivery_health(
    standing: Standing,
    turns: Vec<Seen>,
    config: DeliveryConfig,
    excerpt: &dyn Fn(&str) -> String,
) -> DeliveryHealth {
    let tally = standing.tally;
    let now = SystemClock.now();
    DeliveryHealth {
        running: true,
        last_delivery: tally.last_delivery,
        delivered: tally.settled(),
        failed: tally.failed,
        consecutive_failures: tally.consecutive_failures,
        last_error_at: tally.last_error_at,
        last_error_message: tally.last_error.as_deref().map(excerpt),
        no_response_terminal_skip_count: tally.of("silent"),
        required_notification_retry_exhausted_count: tally.of("unanswered"),
        task_less_replies: tally.of("kept"),
        ended: tally.ended,
        skipped: tally.skipped,
        list_failures: standing.list_failures,
        waiting: standing.known,
        dead: standing.dead,
        in_flight: standing.running,
        lists: standing.lists,
        foreign_instance: standing.foreign.map(|foreign| foreign.to_string()),
        oldest_unsettled_at: standing.oldest,
        oldest_unsettled_seconds: standing.oldest.map(|at| seconds(now.since(at))),
        turns: turns.into_iter().map(turn_health).collect(),
        config,
    }
}

fn turn_health(turn: Seen) -> TurnHealth {
    TurnHealth {
        notification_id: turn.work.to_string(),
        agent: turn.agent,
        state: turn.state.name(),
        since: turn.since,
        quiet_seconds: seconds(turn.quiet),
    }
}
