//! The rows that a turn answers besides its own: reads their texts, and records that the turn answers them.

use std::collections::HashSet;

use super::deps::{DeliveryDeps, backend_failure};
use mcr_clients::convex::CallClass;
use mcr_clients::mission::GetDeliveryContext;
use mcr_core::delivery::journal::{Note, Step, Wait};
use mcr_core::delivery::policy::{self, Verdict};
use mcr_core::delivery::prompt::FoldedText;
use mcr_core::delivery::{Fold, Job, Stamp, Trouble};
use mcr_core::guardrails::agent_names::KnownOrigin;
use mcr_model::{DeliveryContext, WakeOn};

/// Reads the texts of the folded rows, oldest first. A row that is settled meanwhile, or that the policy skips, is no
/// longer folded: its own delivery finds out the same.
pub(super) fn texts(
    job: &mut Job,
    wake_on: WakeOn,
    deps: &DeliveryDeps<'_>,
) -> Result<Vec<FoldedText>, Trouble> {
    let mut texts = Vec::new();
    for fold in job.folds.iter_mut().filter(|fold| fold.kept) {
        let context = read(fold, deps)?;
        let wanted = context.filter(|context| {
            context.notification.delivered_at.is_none() && policy::judge(context, wake_on) == Verdict::Deliver
        });
        let Some(context) = wanted else {
            fold.kept = false;
            continue;
        };
        fold.record.origin = Some(KnownOrigin::of(&context));
        fold.record.heard = Some(Stamp::of(&context.notification));
        texts.push(text(context));
    }
    Ok(texts)
}

fn read(fold: &Fold, deps: &DeliveryDeps<'_>) -> Result<Option<DeliveryContext>, Trouble> {
    let Some(row) = fold.work.notification() else { return Ok(None) };
    match deps.mission.ask(&GetDeliveryContext { notification_id: &row.id }) {
        Ok(context) => Ok(context.filter(|context| context.notification.id == row.id)),
        Err(error) if error.class == CallClass::Gone => Ok(None),
        Err(error) => Err(backend_failure(error)),
    }
}

fn text(context: DeliveryContext) -> FoldedText {
    let id = context.message.as_ref().map(|message| &message.id);
    let item = context.thread.iter().find(|item| Some(&item.message_id) == id);
    let author_name = item.and_then(|item| item.author_name.clone());
    FoldedText { notification: context.notification, message: context.message, author_name }
}

/// Records for each folded row whose text the briefing has that this turn answers it. The rows at the places `left_out`
/// wait for a later turn. The note of the turn itself waits for the disk, and so for these notes.
pub(super) fn record(job: &mut Job, left_out: &[usize], deps: &DeliveryDeps<'_>) {
    let left_out: HashSet<usize> = left_out.iter().copied().collect();
    let cover = &job.work.id;
    for (place, fold) in job.folds.iter_mut().filter(|fold| fold.kept).enumerate() {
        if left_out.contains(&place) {
            fold.kept = false;
            continue;
        }
        fold.record.folded_into = Some(cover.clone());
        let words = format!("into {cover}");
        let note = Note::of(&fold.work, deps.clock.now()).record(&fold.record).step(Step::Folded, &words);
        deps.write(&note, Wait::Not);
    }
}
