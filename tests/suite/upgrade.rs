//! Restarts and upgrades that a person requests in Mission Control: the program under a small supervisor, with scripts
//! in place of other builds. Each case ends on a working version, is carried out once, and is reported once.

mod machine;
mod restarts;
mod versions;
