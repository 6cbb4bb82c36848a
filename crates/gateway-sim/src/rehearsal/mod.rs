//! The conformance cases: what every gateway must get right with the runtime, in one list.
//!
//! [`CASES`] is the list, and `cases` says what happens in each. A driver plays a case between a board, the runtime and a
//! gateway, and collects [`Facts`]: what stands on the board, what the model was asked, and what the runtime reports. [`judge`]
//! turns them into a [`Verdict`]. [`possible`] says which result a release permits, so that a release is blamed only for what
//! it could do. [`Report`] is the result of all cases.
//!
//! The command `rehearse` plays them with a candidate, and a test with every release of the scripted gateway.

mod cases;
mod expectation;
mod judgement;
mod report;

pub use self::cases::{
    CASES, Case, Expected, Interruption, Names, Probe, REAL_TURNS_MAX, RealModel, Said, Script, Speakers,
    Talk,
};
pub use self::expectation::possible;
pub use self::judgement::{Disturbance, Facts, Grade, Post, Probed, Verdict, judge, judge_probe};
pub use self::report::{CaseReport, Report};
