//! The delivery part of `/health`.

use mcr_config::{Delivery, Settings};
use mcr_core::delivery::agent_limits::AgentLimitsConfig;
use mcr_core::delivery::scheduler::{PollIntervals, SchedulerState};
use mcr_model::TeamLimits;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_service::delivery::inflight::Seen;
use mcr_service::http::health::{
    DeliveryConfig, DeliveryHealth, GuardrailsConfig, GuardrailsHealth, TurnHealth, WITHOUT_EFFECT,
    WakeQueryHealth, seconds, stopped_by,
};

/// The state of delivery, with the running turns. `excerpt` shortens and redacts errors.
pub(super) fn delivery_health(
    scheduler: SchedulerState,
    turns: Vec<Seen>,
    config: DeliveryConfig,
    excerpt: &dyn Fn(&str) -> String,
) -> DeliveryHealth {
    let stats = scheduler.stats;
    let now = SystemClock.now();
    DeliveryHealth {
        running: true,
        last_delivery: stats.last_delivery,
        delivered: stats.settled(),
        failed: stats.failed,
        consecutive_failures: stats.consecutive_failures,
        last_error_at: stats.last_error_at,
        last_error_message: stats.last_error.as_deref().map(excerpt),
        no_response_terminal_skip_count: stats.of("silent"),
        required_notification_retry_exhausted_count: stats.of("unanswered"),
        task_less_replies: stats.of("kept"),
        ended: stats.ended,
        skipped: stats.skipped,
        list_failures: scheduler.list_failures,
        waiting: scheduler.known,
        backlog: scheduler.backlog.map(Into::into),
        limits: scheduler.agent_limits.into(),
        dead: scheduler.dead,
        guardrails: GuardrailsHealth {
            stopped_threads: scheduler.stopped.len(),
            team_stops: stats.team_stops,
            stopped_by: stopped_by(scheduler.stopped.iter().map(|thread| thread.limit)),
        },
        unreadable: scheduler.unreadable.iter().map(|sentence| excerpt(sentence)).collect(),
        in_flight: scheduler.running,
        lists: scheduler.lists,
        lists_limited: scheduler.lists_limited,
        foreign_instance: scheduler.foreign.map(|foreign| foreign.to_string()),
        oldest_unsettled_at: scheduler.oldest,
        oldest_unsettled_seconds: scheduler.oldest.map(|at| seconds(now.since(at))),
        turns: turns.into_iter().map(turn_health).collect(),
        wake_query: WakeQueryHealth::default(),
        config,
    }
}

/// The limits for what agents have caused.
pub(super) fn agent_limits(delivery: &Delivery) -> AgentLimitsConfig {
    AgentLimitsConfig {
        people_reserve_percent: delivery.people_reserve_percent,
        requests_per_minute: delivery.agent_turns_per_minute,
    }
}

/// The settings that `/health` shows.
pub(super) fn delivery_config(delivery: &Delivery) -> DeliveryConfig {
    DeliveryConfig {
        max_concurrent_sessions: delivery.concurrent_sessions_max,
        stream_timeout_ms: delivery.stream_timeout.as_millis(),
        context_fetch_batch_size: delivery.context_fetch_batch_size,
        list_limit: delivery.list_limit,
        interval_ms: delivery.interval.as_millis(),
        idle_interval_ms: delivery.idle_interval.as_millis(),
        backoff_base_ms: delivery.backoff_base.as_millis(),
        backoff_max_ms: delivery.backoff_max.as_millis(),
        wake_on: delivery.wake_on.to_string(),
        fold_max: delivery.fold_max,
        guardrails: guardrails_config(delivery),
        without_effect: WITHOUT_EFFECT,
    }
}

fn guardrails_config(delivery: &Delivery) -> GuardrailsConfig {
    let TeamLimits { turns_max, depth_max, turns_per_progress, turns_hard_max } = delivery.team;
    GuardrailsConfig {
        team_turns_max: turns_max,
        team_turns_per_progress: turns_per_progress,
        team_turns_hard_max: turns_hard_max,
        team_depth_max: depth_max,
    }
}

fn turn_health(turn: Seen) -> TurnHealth {
    TurnHealth {
        notification_id: turn.work.to_string(),
        agent: turn.agent,
        state: turn.state,
        since: turn.since,
        quiet_seconds: seconds(turn.quiet),
    }
}

/// The polling intervals, as configured.
pub(super) fn poll_intervals(settings: &Settings) -> PollIntervals {
    let delivery = &settings.delivery;
    PollIntervals {
        interval: delivery.interval,
        idle_interval: delivery.idle_interval,
        backoff_base: delivery.backoff_base,
        backoff_max: delivery.backoff_max,
    }
}
