//! Shows in the chat that the bot types, as long as the agent works on an answer.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, select};
use log::debug;

use super::claimed_jobs::HeldJob;
use mcr_clients::telegram::TelegramClient;
use mcr_core::telegram::{BotToken, TYPING_SECONDS};

/// The signs of one turn. Dropping it ends them.
pub(crate) struct TypingSigns {
    _until: Sender<()>,
}

impl TypingSigns {
    /// Shows the sign now, and again before it fades. A lost lease ends it. The client belongs to the thread.
    pub(crate) fn start(
        telegram: TelegramClient,
        bot: BotToken,
        chat: String,
        held: Arc<HeldJob>,
    ) -> io::Result<Self> {
        let (until, ended) = bounded::<()>(0);
        thread::Builder::new().name("typing".to_owned()).spawn(move || {
            while held.fence().is_none() {
                if let Err(error) = telegram.send_typing(&bot, &chat) {
                    // The sign is a courtesy: the answer itself shows whether the chat can be reached.
                    debug!(error:%; "Typing not shown");
                }
                select! {
                    recv(ended) -> _ => return,
                    default(Duration::from_secs(TYPING_SECONDS)) => {}
                }
            }
        })?;
        Ok(Self { _until: until })
    }
}
