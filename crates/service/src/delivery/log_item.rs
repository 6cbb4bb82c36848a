//! Log lines about an item of work: a short constant sentence, and the item as fields.
//!
//! Every such line has the same fields, so that one search finds all lines of an agent, a task or a notification. What
//! differs from line to line (a tool, a reason, a duration) is a field too, not a part of the sentence.

use std::time::Duration;

use log::kv::{self, Source, ToKey as _, Value, VisitSource};
use log::{Level, Record, log_enabled, logger};

use mcr_core::delivery::Job;
use mcr_core::work::{Kind, Work};
use mcr_model::{AgentId, Notification, Roster, TaskId};

/// An item of work, as a log line names it.
#[derive(Clone, Copy)]
pub(crate) struct LogItem<'a> {
    /// The agent's slug, or its id where the slug is unknown.
    agent: &'a str,
    task: Option<&'a TaskId>,
    /// The title of the task, where it is known.
    title: Option<&'a str>,
    /// The name of the field with the id, and the id.
    id: Option<(&'static str, &'a str)>,
    attempt: Option<u32>,
}

impl<'a> LogItem<'a> {
    /// What an agent does about a task without an item of work.
    pub(crate) fn without_work(agent: &'a str, task: Option<&'a TaskId>) -> Self {
        Self { agent, task, title: None, id: None, attempt: None }
    }

    /// The same item, with the agent's slug in place of its id.
    pub(crate) fn with_slug(self, slug: &'a str) -> Self {
        Self { agent: slug, ..self }
    }

    /// The same item, with the slug from this roster if the agent is in it.
    pub(crate) fn with_slug_of(self, roster: &'a Roster) -> Self {
        let agent = roster.agent(&AgentId::new(self.agent)).map_or(self.agent, |agent| agent.slug.as_str());
        Self { agent, ..self }
    }

    /// The same item in this attempt.
    pub(crate) fn in_attempt(self, attempt: u32) -> Self {
        Self { attempt: Some(attempt), ..self }
    }

    /// Writes a line about the item; `more` are the fields that differ from line to line.
    pub(crate) fn log(self, level: Level, sentence: &str, more: &[(&str, Value<'_>)]) {
        if !log_enabled!(level) {
            return;
        }
        let fields = Fields { item: self, more };
        logger().log(
            &Record::builder()
                .level(level)
                .target(module_path!())
                .module_path_static(Some(module_path!()))
                .key_values(&fields)
                .args(format_args!("{sentence}"))
                .build(),
        );
    }
}

impl<'a> From<&'a Work> for LogItem<'a> {
    fn from(work: &'a Work) -> Self {
        let key = match &work.kind {
            Kind::Notification(_) => "notification",
            Kind::Heartbeat(_) => "heartbeat",
            Kind::Job(_) => "job",
            #[cfg(feature = "test-kind")]
            Kind::Test(_) => "work",
        };
        let id = Some((key, work.id.as_str()));
        Self { agent: &work.track.agent, task: work.track.task(), title: None, id, attempt: None }
    }
}

impl<'a> From<&'a Notification> for LogItem<'a> {
    fn from(row: &'a Notification) -> Self {
        let id = Some(("notification", row.id.as_str()));
        Self { agent: &row.recipient_id, task: row.task_id.as_ref(), title: None, id, attempt: None }
    }
}

impl<'a> From<&'a Job> for LogItem<'a> {
    fn from(job: &'a Job) -> Self {
        let item = Self::from(&*job.work).in_attempt(job.record.failures.attempts().saturating_add(1));
        Self { title: Some(&*job.record.title).filter(|title| !title.is_empty()), ..item }
    }
}

/// The fields of one line, in the order in which they are shown.
struct Fields<'a> {
    item: LogItem<'a>,
    more: &'a [(&'a str, Value<'a>)],
}

impl Source for Fields<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        visitor.visit_pair("agent".to_key(), Value::from(self.item.agent))?;
        if let Some(task) = self.item.task {
            visitor.visit_pair("task".to_key(), Value::from(task.as_str()))?;
        }
        if let Some(title) = self.item.title {
            visitor.visit_pair("title".to_key(), Value::from(title))?;
        }
        if let Some((key, id)) = self.item.id {
            visitor.visit_pair(key.to_key(), Value::from(id))?;
        }
        if let Some(attempt) = self.item.attempt {
            visitor.visit_pair("attempt".to_key(), Value::from(attempt))?;
        }
        self.more.iter().try_for_each(|(key, value)| visitor.visit_pair(key.to_key(), value.clone()))
    }
}

/// A duration as the value of a field whose name ends in `_ms`.
pub(crate) fn millis(span: Duration) -> Value<'static> {
    Value::from(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
