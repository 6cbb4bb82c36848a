//! Provisioning against a provider with its own book: the path of a request, the one-time token, and a crash at every step.

mod book;
mod path;
mod seeded;
mod token;
