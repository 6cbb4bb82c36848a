//! The backend's limits (backend-contract §3.10), checked before a call, because in production a refusal does not
//! say which limit was crossed. Characters are UTF-16 code units, as JavaScript counts them.

/// A service token.
pub const SERVICE_TOKEN_CHARS: usize = 512;
/// The title of a task or a document.
pub const TITLE_CHARS: usize = 2_000;
/// The description of a task.
pub const DESCRIPTION_CHARS: usize = 100_000;
/// Why a task is blocked, or deleted.
pub const REASON_CHARS: usize = 2_000;
/// A message.
pub const MESSAGE_CHARS: usize = 100_000;
/// A document.
pub const DOCUMENT_CHARS: usize = 1_000_000;
/// USER.md, and each agent's IDENTITY.md.
pub const PROFILE_CHARS: usize = 50_000;
/// A skill's text, in UTF-8 bytes.
pub const SKILL_BYTES: usize = 524_288;
/// What a response request says, trimmed.
pub const REQUEST_MESSAGE_CHARS: usize = 1_000;
/// Whom a response request may name.
pub const REQUEST_RECIPIENTS: usize = 10;
/// The longest undelivered list.
pub const UNDELIVERED_ROWS: u32 = 500;
/// The longest list of tasks, and of messages in a thread.
pub const LIST_ROWS: u32 = 200;
/// The longest result of a search, and list of documents.
pub const SEARCH_ROWS: u32 = 100;
/// After this long without a report the backend calls a runtime dead.
pub const STALE_AFTER_MS: u64 = 90_000;

/// The length of a text as the backend counts it.
pub fn chars(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}
