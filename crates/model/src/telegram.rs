//! Settings of messages to Telegram.

use crate::word::words;

words! {
    /// How Telegram reads the text of a message.
    TelegramParseMode {
        /// As it is.
        Plain = "plain",
        /// As HTML. Code and bold text of the agent are shown as such.
        Html = "html",
    }
}
