//! The steps of test work: note the messages, post them.

use super::deliver::Steps;
use super::desk::Desk;
use super::post::post;
use mcr_core::delivery::journal::{Step, Wait};
use mcr_core::delivery::{End, Job, Stage, Trouble};
use mcr_core::work::TestWork;

/// The delivery of test work.
pub(super) struct TestSteps<'a>(pub(super) &'a TestWork);

impl Steps for TestSteps<'_> {
    fn walk(&mut self, job: &mut Job, desk: &Desk<'_>) -> Result<End, Trouble> {
        if job.record.stage == Stage::Fresh {
            let parts = self.0.messages.clone();
            job.record.stage =
                Stage::Answered { parts, posted: 0, doubt: None, advance: false, note_on: None };
            desk.note(job, Step::TextReady, "", Wait::ForDisk);
        }
        post(job, desk)?;
        match &job.record.stage {
            Stage::Ended(end) => Ok(end.clone()),
            Stage::Fresh | Stage::Working(_) | Stage::Answered { .. } => Err(Trouble::Broken),
        }
    }

    fn attempt_is_over(&mut self, _: &Desk<'_>) {}

    fn notice(&self, _: &Job, _: &End, _: &Trouble, _: &Desk<'_>) -> Option<String> {
        None
    }
}
