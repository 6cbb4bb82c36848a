//! The fuzz targets without their engine: every committed input once, including all past findings, and a few thousand
//! inputs derived from them, the same in each run.
//!
//! `make fuzz` runs the targets longer and is guided by coverage.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// The targets, which the engine also calls.
#[path = "../../fuzz/targets/mod.rs"]
mod targets;

use crate::dice::Dice;

/// The number of derived inputs per target.
const MADE: usize = 500;

/// The committed inputs of a target, by name.
fn committed(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for folder in ["corpus", "regressions"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder).join(target);
        let Ok(files) = fs::read_dir(&folder) else { continue };
        for file in files {
            let path = file.unwrap().path();
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// The failure of a target on an input, if any.
fn broken(target: targets::Target, input: &[u8], what: &str) -> Option<String> {
    let (name, check) = target;
    let held = catch_unwind(|| check(input));
    held.is_err().then(|| format!("{name} fails on {what}: \"{}\"", input.escape_ascii()))
}

#[test]
fn committed_inputs_pass() {
    let mut failures = Vec::new();
    for target in targets::TARGETS {
        let inputs = committed(target.0);
        assert!(inputs.len() >= 10, "{} has no corpus", target.0);
        failures.extend(inputs.iter().filter_map(|(path, input)| broken(target, input, path)));
        failures.extend(broken(target, b"", "nothing"));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn derived_inputs_pass() {
    for target in targets::TARGETS {
        let inputs: Vec<Vec<u8>> = committed(target.0).into_iter().map(|(_, input)| input).collect();
        let mut dice = Dice(7);
        for round in 0..MADE {
            let input = made(&inputs, &mut dice);
            let failure = broken(target, &input, &format!("input {round}"));
            assert_eq!(failure, None);
        }
    }
}

/// One input with a few changes.
fn made(inputs: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    const WORDS: [&[u8]; 12] = [
        b"\r\n",
        b"\n",
        b"\"",
        b"{",
        b"[",
        b":",
        b"\xff",
        b"\0",
        b"\\ud800",
        b"null",
        b"-1",
        b"99999999999999999999",
    ];
    let mut made = inputs[dice.index(inputs.len())].clone();
    for _ in 0..=dice.index(4) {
        let at = dice.index(made.len() + 1);
        let to = made.len().min(at + 1 + dice.index(8));
        match dice.roll(6) {
            0 => drop(made.drain(at..to)),
            1 => drop(made.splice(at..at, WORDS[dice.index(WORDS.len())].iter().copied())),
            2 => made[at..to].iter_mut().for_each(|byte| *byte ^= 1 << (at % 8)),
            3 => {
                let again = made[at..to].repeat(1 + dice.index(20));
                made.splice(at..at, again);
            }
            4 => {
                let other = &inputs[dice.index(inputs.len())];
                made.truncate(at);
                made.extend_from_slice(&other[dice.index(other.len() + 1)..]);
            }
            _ => made.truncate(at),
        }
    }
    made
}
