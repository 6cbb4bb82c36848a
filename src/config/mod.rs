//! Configuration that explains itself.
