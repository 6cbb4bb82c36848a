//! The other notifications that the reply answers: each stands in the briefing as a whole, or not at all.

use super::budget::{Block, Room};
use super::fence::PromptFence;
use super::{FoldedText, Scene, files};
use mcr_model::MessageId;

const ID_CHARS: usize = 128;

impl Scene<'_> {
    /// The blocks of the folded notifications, and the places of those that do not fit.
    pub(super) fn folded_blocks(&self, room: &mut Room) -> (Option<String>, Vec<usize>) {
        let (mut blocks, mut left_out) = (Vec::new(), Vec::new());
        for (place, folded) in self.folded.iter().enumerate() {
            match self.folded_block(folded).filter(|block| room.take(block)) {
                Some(block) => blocks.push(block),
                None => left_out.push(place),
            }
        }
        if !left_out.is_empty() {
            let line = format!(
                "{} more of your notifications about this task wait. They follow in later requests.",
                left_out.len()
            );
            if room.take(&line) {
                blocks.push(line);
            }
        }
        ((!blocks.is_empty()).then(|| blocks.join("\n")), left_out)
    }

    /// The block of one notification, without a cut.
    fn folded_block(&self, folded: &FoldedText) -> Option<String> {
        let fence = PromptFence(self.fence);
        let row = &folded.notification;
        let kind = fence.one_line(&row.kind.to_string(), ID_CHARS);
        let (author, text, at, foot) = match &folded.message {
            Some(message) => {
                let name = folded.author_name.as_deref();
                let (_, author) = self.heading(&message.author_type, &message.author_id, name);
                let who = fence.one_line(&format!("{}:{}", message.author_type, message.author_id), ID_CHARS);
                let author = if author == who { author } else { format!("{author} ({who})") };
                (author, &message.content, message.created_at, files::lines(fence, &message.attachments))
            }
            None => (fence.one_line(&row.title, ID_CHARS), &row.body, row.created_at, None),
        };
        let head = Some(format!("{kind}, {author}, {at}:"));
        let title = "another notification to answer";
        let block = Block { title, head, text, foot, chars_max: usize::MAX, keeps_end: false };
        // Without a limit nothing is cut.
        block.write(fence, &mut Room(usize::MAX))
    }

    /// Whether a folded notification shows this message, so that the thread need not.
    pub(super) fn is_folded(&self, message: &MessageId) -> bool {
        self.folded.iter().any(|folded| folded.message.as_ref().is_some_and(|own| own.id == *message))
    }
}
