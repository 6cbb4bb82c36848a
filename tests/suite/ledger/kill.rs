//! SIGKILL during many concurrent notes: the next start recalls every acknowledged note, or a later one of the same
//! delivery. The variable `KILLS` sets how often.
//!
//! The child is this test binary with one test, which does nothing unless a variable names a folder. It prints a line
//! per acknowledged note and is killed while it runs.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;

/// The variable with the folder for the child.
const PLACE: &str = "LEDGER_TEST_STORM";
/// The number of kills that `make test` has time for.
const KILLS: u64 = 12;
const THREADS: u32 = 6;

/// Runs in the child: notes steps and ends of many deliveries, with and without waiting.
#[test]
fn role() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let opened = open(Path::new(&place));
    let ledger = &opened.ledger;
    let began: HashMap<_, _> = opened
        .open
        .iter()
        .map(|found| (found.work.id.to_string(), found.record.failures.of(Cause::Interrupted)))
        .collect();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let began = &began;
            scope.spawn(move || {
                for count in 1.. {
                    let id = format!("n{thread}.{}", count % 9);
                    let failures = count + began.values().max().unwrap_or(&0);
                    let row = row(&id);
                    let record = if count % 4 == 0 { long_record(failures) } else { record(failures) };
                    let note = Note::of(&row, NOW).record(&record).step(Step::Rests, "in the storm");
                    let over = End::Dead(failures.to_string());
                    let note = if count % 5 == 0 { note.ends(&over) } else { note };
                    let wait = if count % 3 == 0 { Wait::Not } else { Wait::ForDisk };
                    ledger.note(&note, wait).unwrap();
                    if wait == Wait::ForDisk {
                        let line = format!("child: {id} {failures}\n");
                        std::io::stdout().write_all(line.as_bytes()).unwrap();
                    }
                }
            });
        }
    });
}

/// A record with a text that is stored apart from its row.
fn long_record(failures: u32) -> Record {
    let answer = PendingAnswer::new(vec!["long words ".repeat(1_000 + failures as usize % 99)], true);
    Record { stage: Stage::Answered(answer), ..record(failures) }
}

/// The progress of each delivery, as recalled from the disk.
fn found(place: &Path) -> HashMap<String, u32> {
    let opened = open(place);
    assert!(opened.unreadable.is_empty(), "{:?}", opened.unreadable);
    let open = opened
        .open
        .iter()
        .map(|found| (found.work.id.to_string(), found.record.failures.of(Cause::Interrupted)));
    let closed = opened.closed.iter().map(|closed| match &closed.end {
        End::Dead(failures) => (closed.id.to_string(), failures.parse().unwrap()),
        other => panic!("{other:?}"),
    });
    open.chain(closed).collect()
}

#[test]
fn what_was_acknowledged_survives_every_kill() {
    let kills = std::env::var("KILLS").ok().map_or(KILLS, |text| text.parse().unwrap());
    let home = TempDir::new().unwrap();
    let place = home.path().join("state");
    let mut acknowledged = 0;
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ledger::kill::role", "--nocapture", "--test-threads=1"])
            .env(PLACE, &place)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut noted: HashMap<String, u32> = HashMap::new();
        // Some children are killed early, some late, all of them while they note.
        let enough = 1 + kill * kill * 37 % 1_500;
        let (mut said, mut killed) = (0, false);
        let mut line = String::new();
        // Lines that the child printed before the kill count too.
        while lines.read_line(&mut line).unwrap() > 0 {
            if let Some((_, words)) = line.trim_end().split_once("child: ")
                && let Some((id, failures)) = words.split_once(' ')
                && line.ends_with('\n')
            {
                let failures: u32 = failures.parse().unwrap();
                let before = noted.entry(id.to_owned()).or_default();
                *before = failures.max(*before);
                said += 1;
            }
            line.clear();
            if !killed && said >= enough {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        acknowledged += said;
        let found = found(&place);
        for (id, failures) in noted {
            let there = found.get(&id).copied().unwrap_or(0);
            assert!(there >= failures, "kill {kill}: {id} was acknowledged at {failures} and is at {there}");
        }
    }
    assert!(acknowledged > kills, "there was hardly a storm: {acknowledged}");
}
