//! Jobs and the notifications that they deliver.

use std::sync::Arc;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::{Job, Record, Sent, UnknownFields};
use mission_control_runtime::model::{Notification, SessionKey};
use mission_control_runtime::work::Work;

/// The work of a notification.
pub(crate) fn work_of(row: &Notification) -> Arc<Work> {
    Arc::new(row.clone().into())
}

/// A job that goes on with this record.
pub(crate) fn job_of(row: &Notification, record: Record) -> Job {
    Job::new(0, work_of(row), record)
}

/// The notification that a job delivers.
pub(crate) fn notification_of(job: &Job) -> &Notification {
    job.work.notification().expect("it delivers a notification")
}

/// A turn whose answer was lost.
pub(crate) fn sent() -> Sent {
    Sent {
        session: SessionKey::new("s"),
        agent: "agent".to_owned(),
        attempt: 1,
        run: None,
        at: Millis(0),
        lost: Some(Millis(0)),
        silent: false,
        failed: false,
        spoke: false,
        looked: None,
        grown: None,
        without_tools: false,
        interrupted: false,
        extra: UnknownFields::default(),
    }
}
