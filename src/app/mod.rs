//! Start and stop: one file per command.
