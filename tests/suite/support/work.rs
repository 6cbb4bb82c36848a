//! Jobs and the notifications that they deliver.

use std::sync::Arc;

use mission_control_runtime::delivery::{Job, Record};
use mission_control_runtime::model::Notification;
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
