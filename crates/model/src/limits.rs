//! The backend's limits (backend-contract §3.10), checked before each call. In production the backend's refusal does not
//! name the exceeded limit. Characters are UTF-16 code units, as JavaScript counts them.

/// A service token.
pub const SERVICE_TOKEN_CHARS: usize = 512;
/// The title of a task or a document.
pub const TITLE_CHARS: usize = 2_000;
/// The description of a task.
pub const DESCRIPTION_CHARS: usize = 100_000;
/// The reason for blocking or deleting a task.
pub const REASON_CHARS: usize = 2_000;
/// A message.
pub const MESSAGE_CHARS: usize = 100_000;
/// A document.
pub const DOCUMENT_CHARS: usize = 1_000_000;
/// USER.md, and each agent's IDENTITY.md.
pub const PROFILE_CHARS: usize = 50_000;
/// A skill's text, in UTF-8 bytes.
pub const SKILL_BYTES: usize = 524_288;
/// The message of a response request, trimmed.
pub const REQUEST_MESSAGE_CHARS: usize = 1_000;
/// The recipients of a response request.
pub const REQUEST_RECIPIENTS: usize = 10;
/// The maximum length of the undelivered list.
pub const UNDELIVERED_ROWS: u32 = 500;
/// The maximum length of a list of tasks, and of messages in a thread.
pub const LIST_ROWS: u32 = 200;
/// The maximum length of a search result and of a list of documents.
pub const SEARCH_ROWS: u32 = 100;
/// After this time without a report the backend considers a runtime dead.
pub const STALE_AFTER_MS: u64 = 90_000;

/// The length of a text as the backend counts it.
pub fn chars(text: &str) -> usize {
    // One unit for the first byte of each character, and a second one for a character of four bytes. The compiler counts
    // many bytes at once as long as a sum fits in a byte.
    let units = |byte: &u8| u8::from(byte & 0xc0 != 0x80) + u8::from(*byte >= 0xf0);
    let blocks = text.as_bytes().chunks(usize::from(u8::MAX / 2));
    blocks.map(|block| usize::from(block.iter().map(units).sum::<u8>())).sum()
}
