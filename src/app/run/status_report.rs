//! Decides which status to report to the backend (backend-contract §2.1, §7.1).
//!
//! The hosted backend announces "online" to people only after `offline`, `error` or `provisioning`. So a
//! start, or a return after a long silence, reports `provisioning` until deliveries can run, and then
//! `online` first. Other problems follow in the next report. If the gateway takes too long, the status is
//! `degraded`; then `provisioning` is reported once more before `online`.

use std::time::Duration;

use mcr_model::RuntimeStatus;
use mcr_model::limits::STALE_AFTER_MS;

/// How long a gateway that starts with the runtime may be absent before that is reported as `degraded`. On
/// two cores and with all plugins it takes 45 s. A slow disk may double that.
pub(super) const GATEWAY_START: Duration = Duration::from_mins(2);

/// After this silence the backend sets the account to `offline` and announces it.
const SILENCE: Duration = Duration::from_millis(STALE_AFTER_MS);

/// The condition of the account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    /// Whether deliveries can run.
    pub(super) delivers: bool,
    /// Whether a problem affects the account as a whole.
    pub(super) impaired: bool,
}

/// What was reported, and what to report next. Times are counted from the start of the process.
#[derive(Debug, Default)]
pub(super) struct StatusHistory {
    /// Whether `online` was reported since the start or the last silence.
    announced: bool,
    /// The time of the start or of the last silence.
    since: Duration,
    /// When the backend accepted the last report. `None` if that was `provisioning`, which no silence ends.
    reported: Option<Duration>,
    /// `degraded` was reported since the start or the last silence, and `online` was not yet.
    unannounced: bool,
}

impl StatusHistory {
    /// The status to report now.
    pub(super) fn next(&mut self, condition: Condition, up: Duration) -> RuntimeStatus {
        if self.reported.is_some_and(|at| up.saturating_sub(at) >= SILENCE) {
            self.announced = false;
            self.unannounced = false;
            self.since = up;
        }
        match condition {
            // The backend announces nothing on a change from `degraded` to `online`.
            Condition { delivers: true, .. } if self.unannounced => RuntimeStatus::Provisioning,
            Condition { delivers: true, impaired } if !self.announced || !impaired => RuntimeStatus::Online,
            _ if !self.announced && up.saturating_sub(self.since) < GATEWAY_START => {
                RuntimeStatus::Provisioning
            }
            _ => RuntimeStatus::Degraded,
        }
    }

    /// Notes that the backend has accepted a report with this status.
    pub(super) fn reported(&mut self, status: RuntimeStatus, up: Duration) {
        self.reported = (status != RuntimeStatus::Provisioning).then_some(up);
        self.announced |= status == RuntimeStatus::Online;
        self.unannounced = !self.announced && status == RuntimeStatus::Degraded;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Condition = Condition { delivers: true, impaired: false };
    const IMPAIRED: Condition = Condition { delivers: true, impaired: true };
    const CLOSED: Condition = Condition { delivers: false, impaired: true };

    /// One report: at which second, in which condition, whether the backend takes it, and with which status.
    type Report = (u64, Condition, bool, RuntimeStatus);

    #[test]
    fn the_statuses_of_starts_outages_and_returns() {
        use RuntimeStatus::{Degraded, Online, Provisioning};
        let rows: &[&[Report]] = &[
            // All is well from the beginning.
            &[(0, WELL, true, Online), (30, WELL, true, Online)],
            // Other problems follow in the second report.
            &[(0, IMPAIRED, true, Online), (30, IMPAIRED, true, Degraded), (60, WELL, true, Online)],
            // The gateway starts later.
            &[(0, CLOSED, true, Provisioning), (45, WELL, true, Online), (75, CLOSED, true, Degraded)],
            // The gateway does not start.
            &[
                (0, CLOSED, true, Provisioning),
                (119, CLOSED, false, Provisioning),
                (120, CLOSED, true, Degraded),
                (150, CLOSED, true, Degraded),
                (180, WELL, false, Provisioning),
                (181, WELL, true, Provisioning),
                (182, IMPAIRED, true, Online),
                (212, IMPAIRED, true, Degraded),
                (242, WELL, true, Online),
            ],
            // The gateway starts, and goes away again at once.
            &[
                (150, CLOSED, true, Degraded),
                (180, WELL, true, Provisioning),
                (181, CLOSED, true, Degraded),
                (211, WELL, true, Provisioning),
                (212, WELL, true, Online),
            ],
            // The backend is away at the start, longer than the gateway may be.
            &[
                (0, CLOSED, false, Provisioning),
                (150, CLOSED, true, Degraded),
                (200, WELL, true, Provisioning),
                (201, WELL, true, Online),
            ],
            // A report that is lost announces nothing.
            &[(0, IMPAIRED, false, Online), (5, IMPAIRED, true, Online), (35, IMPAIRED, true, Degraded)],
            // A short outage of the backend is no absence.
            &[(0, WELL, true, Online), (30, WELL, false, Online), (60, IMPAIRED, true, Degraded)],
            // After a long one the backend has announced "offline".
            &[
                (0, WELL, true, Online),
                (30, IMPAIRED, false, Degraded),
                (90, IMPAIRED, false, Online),
                (300, IMPAIRED, true, Online),
                (330, IMPAIRED, true, Degraded),
            ],
            // And the gateway comes back after the backend.
            &[
                (0, WELL, true, Online),
                (300, CLOSED, true, Provisioning),
                (419, CLOSED, false, Provisioning),
                (420, CLOSED, true, Degraded),
                (430, WELL, true, Provisioning),
                (431, WELL, true, Online),
            ],
        ];
        for (row, reports) in rows.iter().enumerate() {
            let mut verdict = StatusHistory::default();
            // An earlier process ended, or the backend has noticed that it did.
            let (mut backend, mut announced) = (RuntimeStatus::Offline, 0);
            for (at, condition, taken, expected) in *reports {
                let up = Duration::from_secs(*at);
                let status = verdict.next(*condition, up);
                assert_eq!(status, *expected, "row {row} at {at} s");
                if *taken {
                    verdict.reported(status, up);
                    announced += usize::from(
                        status == Online && matches!(backend, RuntimeStatus::Offline | Provisioning),
                    );
                    backend = status;
                }
            }
            assert_ne!(announced, 0, "row {row}: the board never announces that the runtime is online");
        }
    }
}
