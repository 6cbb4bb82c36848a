//! Tool calls, carried out.

pub mod run;
