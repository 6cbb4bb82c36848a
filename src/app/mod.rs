//! Start and stop: one file per command.

pub mod load;
