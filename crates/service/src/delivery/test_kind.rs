//! The steps of test work: record the messages, post them, let the source confirm the end.

use super::deliver::Steps;
use super::deps::DeliveryDeps;
use super::post::post;
use super::test_source;
use mcr_core::delivery::journal::{Step, Wait};
use mcr_core::delivery::{End, Job, PendingAnswer, Stage, Trouble};
use mcr_core::work::TestWork;

/// The delivery of test work.
pub(super) struct TestSteps<'a>(pub(super) &'a TestWork);

impl Steps for TestSteps<'_> {
    fn walk(&mut self, job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<End, Trouble> {
        if job.record.stage == Stage::Fresh {
            job.record.stage = Stage::Answered(PendingAnswer::new(self.0.messages.clone(), false));
            deps.note(job, Step::TextReady, "", Wait::ForDisk);
        }
        post(job, deps)?;
        let Stage::Ended(end) = job.record.stage.clone() else { return Err(Trouble::Broken) };
        job.record.unmarked = true;
        test_source::confirm(&job.work.id).map_err(|why| Trouble::NotNoted(why.to_string()))?;
        job.record.unmarked = false;
        Ok(end)
    }

    fn attempt_is_over(&mut self, _: &DeliveryDeps<'_>) {}

    fn notice(&self, _: &Job, _: &End, _: &Trouble, _: &DeliveryDeps<'_>) -> Option<String> {
        None
    }
}
