//! The worker of a pool: its calls of the queue and of Telegram, over sockets, against stand-ins with their own books.

/// The sixteen functions: what is sent, what is understood, what a lost answer means.
mod calls;
/// The client of Telegram: texts, files, and what each fault means.
mod telegram;
