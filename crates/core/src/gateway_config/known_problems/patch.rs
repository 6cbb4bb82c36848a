//! The change of a configuration that repairs its known problems.

use std::fmt;

use serde_json::{Map, Value};

use super::{Diagnosis, Facts, Problem, Sight, TABLE, Tree, merge_patch};

/// What the gateway shows in place of a secret.
const REDACTED: &str = "__OPENCLAW_REDACTED__";

/// A change of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The change, as a JSON merge patch. Empty if there is nothing to change.
    pub change: Map<String, Value>,
    /// The change in lines, without secrets.
    pub lines: Vec<String>,
    /// The problems that the change repairs.
    pub repaired: Vec<Problem>,
    /// The problems that it does not repair.
    pub left: Vec<Problem>,
}

/// Why there is no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchError {
    /// The configuration is unknown.
    NoConfiguration,
    /// The configuration is no object.
    NotAnObject,
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoConfiguration => {
                "the gateway's configuration cannot be seen from here: name its file with --config FILE"
            }
            Self::NotAnObject => "the gateway's configuration is no JSON object: check the file",
        })
    }
}

/// The change that repairs the known problems of the configuration. A configuration as the gateway shows it has no
/// secrets, and a merge patch replaces arrays as a whole. A repair that would write such a gap is left out.
pub fn patch(facts: &Facts<'_>) -> Result<Patch, PatchError> {
    let config = facts.config.ok_or(PatchError::NoConfiguration)?;
    let before = config.as_object().ok_or(PatchError::NotAnObject)?;
    let sight = Sight::new(*facts);
    let (mut repaired, mut left) = (Vec::new(), Vec::new());
    let mut config = config.clone();
    for row in &TABLE {
        if !matches!((row.judge)(&sight), Diagnosis::Note(_) | Diagnosis::Wrong(_)) {
            continue;
        }
        let candidate = row.repair.and_then(|repair| {
            let mut tree = Tree::new(config.clone());
            repair(&mut tree, &sight).then(|| tree.finish().0)
        });
        match candidate.filter(|candidate| writes_no_gap(before, candidate)) {
            Some(candidate) => {
                config = candidate;
                repaired.push(row.problem);
            }
            None => left.push(row.problem),
        }
    }
    let change = config.as_object().map_or_else(Map::new, |after| merge_patch::between(before, after));
    let lines = merge_patch::lines(&Value::Object(before.clone()), &change);
    Ok(Patch { change, lines, repaired, left })
}

fn writes_no_gap(before: &Map<String, Value>, candidate: &Value) -> bool {
    let change = candidate.as_object().map(|after| merge_patch::between(before, after));
    change.is_some_and(|change| !Value::Object(change).to_string().contains(REDACTED))
}
