//! What the threads share about requests for a restart or an upgrade.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mcr_core::upgrade::{Step, UpgradeMemory};
use mcr_model::RuntimeReport;
use mcr_service::http::health::RequestsHealth;
use mcr_service::wakeup::Wakeup;

/// The requests as other threads than their own see and change them.
#[derive(Default)]
pub(super) struct RequestStatus {
    shown: Mutex<RequestsHealth>,
    memory: Mutex<UpgradeMemory>,
    cancelled: AtomicBool,
    wakeup: Wakeup,
}

impl RequestStatus {
    /// For `/health`.
    pub(super) fn shown(&self) -> RequestsHealth {
        lock(&self.shown).clone()
    }

    /// Wakes the thread, such as for its end.
    pub(super) fn wakeup(&self) -> &Wakeup {
        &self.wakeup
    }

    /// Cancels a request that still waits for turns. Returns whether there is one.
    pub(super) fn cancel(&self) -> bool {
        let waits =
            lock(&self.memory).open().is_some_and(|open| matches!(open.step, Step::Accept | Step::Drain));
        if waits {
            self.cancelled.store(true, Ordering::Relaxed);
            self.wakeup.notify();
        }
        waits
    }

    /// Completes a status report: the version that counts, and the result of the last upgrade.
    pub(super) fn report(&self, report: &mut RuntimeReport, version: &str) {
        let memory = lock(&self.memory);
        report.runtime_service_version = Some(memory.reported_version(version).to_owned());
        let outcome = memory.operation.as_ref().and_then(|operation| operation.outcome.as_ref());
        if let Some(outcome) = outcome
            && let Some(status) = outcome.kind.status()
        {
            report.last_upgrade_at = Some(outcome.at);
            report.last_upgrade_status = Some(status);
        }
    }

    /// Notes what is stored.
    pub(super) fn set_memory(&self, memory: &UpgradeMemory) {
        lock(&self.memory).clone_from(memory);
    }

    /// Changes what `/health` shows.
    pub(super) fn show(&self) -> MutexGuard<'_, RequestsHealth> {
        lock(&self.shown)
    }

    /// Whether an operator has cancelled the request since the last call.
    pub(super) fn take_cancelled(&self) -> bool {
        self.cancelled.swap(false, Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcr_model::UpgradeStatus;

    #[test]
    fn a_status_report_has_the_last_result_and_names_no_version_on_trial() {
        let status = RequestStatus::default();
        let report = |own: &str| {
            let mut report = RuntimeReport {
                droplet_id: "d".to_owned(),
                ip_address: "i".to_owned(),
                region: None,
                last_health_check: None,
                openclaw_version: None,
                runtime_service_version: None,
                last_upgrade_at: None,
                last_upgrade_status: None,
            };
            status.report(&mut report, own);
            (report.runtime_service_version.unwrap(), report.last_upgrade_status)
        };
        assert_eq!(report("1.0.0"), ("1.0.0".to_owned(), None));
        let versions = r#""from":{"runtime":"1.0.0","openclaw":""},"to":{"runtime":"2.0.0","openclaw":""}"#;
        let rest = format!(r#""id":7,"kind":"upgrade","since":8,"accepted_at":8,{versions}"#);
        let memory =
            |more: &str| serde_json::from_str(&format!(r#"{{"operation":{{{rest},{more}}}}}"#)).unwrap();
        status.set_memory(&memory(r#""step":"confirm","report":"due""#));
        assert_eq!(report("2.0.0"), ("1.0.0".to_owned(), None));
        assert!(!status.cancel(), "a trial cannot be cancelled");
        let done = r#""step":"done","outcome":{"kind":"success","at":9}"#;
        status.set_memory(&memory(&format!(r#"{done},"report":"due""#)));
        assert_eq!(report("2.0.0"), ("1.0.0".to_owned(), Some(UpgradeStatus::Success)));
        status.set_memory(&memory(&format!(r#"{done},"report":"settled""#)));
        assert_eq!(report("2.0.0"), ("2.0.0".to_owned(), Some(UpgradeStatus::Success)));
        status.set_memory(&memory(r#""step":"drain","report":"due""#));
        assert!(status.cancel() && status.take_cancelled() && !status.take_cancelled());
    }
}
