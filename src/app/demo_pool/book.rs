//! What was lost or sent twice: the fake Telegram's own book against the queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::reply_to;
use mcr_gateway_sim::telegram::ScriptedTelegram;
use mcr_mission_control::Engine;

/// The table of the queue's messages.
const MESSAGES: &str = "messageQueue";

/// The two books.
pub(super) struct Book {
    engine: Arc<Engine>,
    telegram: ScriptedTelegram,
}

/// The count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PoolTally {
    asked: usize,
    answered: usize,
    lost: usize,
    twice: usize,
    dead: usize,
}

impl Book {
    pub(super) fn new(engine: Arc<Engine>, telegram: ScriptedTelegram) -> Self {
        Self { engine, telegram }
    }

    /// Compares the books. `asked` are the person's messages that the queue has confirmed.
    pub(super) fn count(&self, asked: &[String]) -> Result<Value, String> {
        // The queue is read first: a worker sends before it completes, so no reply of a completed message is missing.
        let rows = self.engine.read_table(MESSAGES).map_err(|why| why.to_string())?;
        let replies: Vec<String> = self.telegram.messages().into_iter().map(|message| message.text).collect();
        let queue = rows.iter().map(|row| {
            let text = row["payload"]["messageText"].as_str().unwrap_or_default();
            (text.to_owned(), row["status"].as_str().unwrap_or_default().to_owned())
        });
        let tally = tally(asked, &queue.collect::<Vec<_>>(), &replies);
        Ok(json!({"asked": tally.asked, "answered": tally.answered, "lost": tally.lost, "twice": tally.twice,
            "dead": tally.dead}))
    }
}

/// Counts each text: the same message may be written twice, and then has two replies.
fn tally(asked: &[String], queue: &[(String, String)], replies: &[String]) -> PoolTally {
    let mut expected: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut tally = PoolTally { asked: asked.len(), ..PoolTally::default() };
    for (text, status) in queue {
        let (all, done) = expected.entry(reply_to(text)).or_default();
        *all += 1;
        *done += usize::from(status == "done");
        tally.dead += usize::from(status == "dead_letter");
    }
    for (reply, (all, done)) in &expected {
        let sent = replies.iter().filter(|sent| *sent == reply).count();
        tally.answered += sent.min(*all);
        tally.lost += done.saturating_sub(sent);
        tally.twice += sent.saturating_sub(*all);
    }
    // A confirmed message that is not in the queue, and a reply to nothing.
    for (at, text) in asked.iter().enumerate() {
        let earlier = asked[..=at].iter().filter(|other| *other == text).count();
        tally.lost += usize::from(queue.iter().filter(|(queued, _)| queued == text).count() < earlier);
    }
    tally.twice += replies.iter().filter(|reply| !expected.contains_key(*reply)).count();
    tally
}

#[cfg(test)]
mod tests {
    use super::{PoolTally, tally};

    #[test]
    fn what_is_lost_and_what_is_sent_twice() {
        let re = "You wrote: a";
        // Asked, in the queue, replies; answered, lost, twice, dead.
        type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str], [usize; 4]);
        let rows: &[Row<'_>] = &[
            (&[], &[], &[], [0; 4]),
            (&["a"], &[("a", "queued")], &[], [0; 4]),
            (&["a"], &[("a", "processing")], &[re], [1, 0, 0, 0]),
            (&["a"], &[("a", "done")], &[re], [1, 0, 0, 0]),
            (&["a"], &[("a", "done")], &[], [0, 1, 0, 0]),
            (&["a"], &[("a", "done")], &[re, re], [1, 0, 1, 0]),
            (&["a", "a"], &[("a", "done"), ("a", "done")], &[re, re], [2, 0, 0, 0]),
            (&["a", "a"], &[("a", "done")], &[re], [1, 1, 0, 0]),
            (&["a"], &[], &[], [0, 1, 0, 0]),
            (&[], &[], &["stray"], [0, 0, 1, 0]),
            (&["a"], &[("a", "dead_letter")], &[], [0, 0, 0, 1]),
        ];
        for (asked, queue, replies, [answered, lost, twice, dead]) in rows {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let queue: Vec<_> =
                queue.iter().map(|(text, status)| ((*text).to_owned(), (*status).to_owned())).collect();
            let expected = PoolTally {
                asked: asked.len(),
                answered: *answered,
                lost: *lost,
                twice: *twice,
                dead: *dead,
            };
            assert_eq!(
                tally(&texts(asked), &queue, &texts(replies)),
                expected,
                "{asked:?} {queue:?} {replies:?}"
            );
        }
    }
}
