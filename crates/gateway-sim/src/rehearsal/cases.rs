//! The list of cases, and the words of each: directives for a scripted model, or a request to a real one.

use serde_json::json;

use crate::lossy_proxy::Losses;

/// The most turns of all cases with a real model together.
pub const REAL_TURNS_MAX: u32 = 20;

/// One conformance case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name in options, JSON and documents.
    pub id: &'static str,
    /// What it tries, for people.
    pub title: &'static str,
    /// What happens in it.
    pub script: Script,
    /// How a real model is asked, if the case works with one.
    pub real: Option<RealModel>,
}

/// What happens in a case.
#[derive(Clone, Copy, Debug)]
pub enum Script {
    /// The gateway is asked, without a turn.
    Probe(Probe),
    /// Agents are mentioned on a task.
    Talk(Talk),
}

/// A question to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether it is reachable, accepts the token, and has the endpoint for turns.
    Access,
    /// Whether it names a proven release.
    Version,
    /// Whether it has the agents.
    Agents,
    /// Whether it shows its sessions.
    History,
}

/// A conversation on one task.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// Who is mentioned.
    pub speakers: Speakers,
    /// The message, with directives for the model.
    pub words: fn(&Names<'_>) -> String,
    /// The answers that get lost on their way.
    pub losses: Option<Losses>,
    /// What is killed while the model thinks.
    pub interruption: Option<Interruption>,
    /// What must follow.
    pub expected: Expected,
}

/// The agents of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speakers {
    /// One agent.
    One,
    /// Up to three agents, each on a task of its own.
    Three,
    /// One that the gateway does not have.
    Unknown,
}

/// A process that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The gateway.
    Gateway,
    /// The runtime.
    Runtime,
}

/// What a case must lead to.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// One answer of each agent, and the effects of its calls.
    Answer {
        /// The answer.
        said: Said,
        /// The number of documents.
        documents: usize,
        /// Whether the task is in review.
        review: bool,
        /// The turns of each agent, in which the model is called once.
        turns: usize,
    },
    /// The agent has nothing to say, and nothing is posted.
    Silence,
    /// The provider fails. Nothing is posted, and the failure is named.
    Failure,
    /// The model is not called.
    NoTurn,
}

/// The text of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Exactly this text.
    This(&'static str),
    /// This many characters in lines.
    Long(usize),
    /// A text that contains the code word of the case.
    Code,
}

/// A case with a real model.
#[derive(Clone, Copy, Debug)]
pub struct RealModel {
    /// The message.
    pub words: fn(&Names<'_>) -> String,
    /// What must follow.
    pub expected: Expected,
    /// The most turns that it may take.
    pub turns: u32,
}

/// The names in a message.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The id of the task.
    pub task: &'a str,
    /// A word that only this case contains.
    pub code: &'a str,
}

/// The answer of most cases.
const DONE: &str = "It is done.";

const fn answer(turns: usize) -> Expected {
    Expected::Answer { said: Said::This(DONE), documents: 0, review: false, turns }
}

const fn documents(documents: usize) -> Expected {
    Expected::Answer { said: Said::This(DONE), documents, review: false, turns: 2 }
}

const fn talk(words: fn(&Names<'_>) -> String, expected: Expected) -> Talk {
    Talk { speakers: Speakers::One, words, losses: None, interruption: None, expected }
}

const fn probe(id: &'static str, title: &'static str, probe: Probe) -> Case {
    Case { id, title, script: Script::Probe(probe), real: None }
}

const fn case(id: &'static str, title: &'static str, talk: Talk) -> Case {
    Case { id, title, script: Script::Talk(talk), real: None }
}

const fn provider(id: &'static str, title: &'static str, words: fn(&Names<'_>) -> String) -> Case {
    case(id, title, talk(words, Expected::Failure))
}

/// A process is killed while the model thinks about the result of a call.
const fn killed(id: &'static str, title: &'static str, process: Interruption) -> Case {
    let words = |names: &Names<'_>| then_done(&document(names, 0)).replacen("SAY", "DELAY 3000 SAY", 1);
    case(id, title, Talk { interruption: Some(process), ..talk(words, documents(1)) })
}

/// All cases, in the order in which they are played. The first one that a turn needs is `mention`.
pub static CASES: [Case; 28] = [
    probe("access", "the gateway accepts the token and turns", Probe::Access),
    probe("version", "the gateway names a proven release", Probe::Version),
    probe("agents", "the gateway has the agents", Probe::Agents),
    probe("history", "the gateway shows its sessions", Probe::History),
    Case {
        real: Some(RealModel {
            words: |names| format!("Please answer with this word, and with nothing else: {}", names.code),
            expected: Expected::Answer { said: Said::Code, documents: 0, review: false, turns: 1 },
            turns: 2,
        }),
        ..case("mention", "a mention is answered", talk(|_| say(DONE), answer(1)))
    },
    Case {
        real: Some(RealModel {
            words: |names| format!("Please answer with this word, and with nothing else: {}", names.code),
            expected: Expected::Answer { said: Said::Code, documents: 0, review: false, turns: 1 },
            turns: 6,
        }),
        ..case(
            "three-agents",
            "three agents answer at once",
            Talk { speakers: Speakers::Three, ..talk(|_| format!("DELAY 1000 {}", say(DONE)), answer(1)) },
        )
    },
    Case {
        real: Some(RealModel {
            words: |names| {
                format!(
                    "Please create one document with the tool document_upsert: title {code}, content “A test.”, type note, \
                     taskId {task}. Then answer with this word, and with nothing else: {code}",
                    code = names.code,
                    task = names.task
                )
            },
            expected: Expected::Answer { said: Said::Code, documents: 1, review: false, turns: 2 },
            turns: 6,
        }),
        ..case(
            "tool-rounds-1",
            "one tool round",
            talk(|names| rounds(names, &[ToolRound::Write]), documents(1)),
        )
    },
    case(
        "tool-rounds-2",
        "two tool rounds",
        talk(
            |names| rounds(names, &[ToolRound::Load, ToolRound::Write]),
            Expected::Answer { said: Said::This(DONE), documents: 1, review: false, turns: 3 },
        ),
    ),
    case(
        "tool-rounds-3",
        "three tool rounds",
        talk(
            |names| rounds(names, &[ToolRound::Load, ToolRound::Write, ToolRound::Review]),
            Expected::Answer { said: Said::This(DONE), documents: 1, review: true, turns: 4 },
        ),
    ),
    case("calls-2", "two calls in one reply", talk(|names| calls(names, 2), documents(2))),
    case("calls-3", "three calls in one reply", talk(|names| calls(names, 3), documents(3))),
    case("calls-8", "eight calls in one reply", talk(|names| calls(names, 8), documents(8))),
    case(
        "lost-answer",
        "the lost answer of a finished tool round",
        Talk {
            losses: Some(Losses { after: 1, count: 1 }),
            ..talk(|names| rounds(names, &[ToolRound::Write]), documents(1))
        },
    ),
    killed("runtime-killed", "the runtime is killed in a turn", Interruption::Runtime),
    killed("gateway-killed", "the gateway is killed in a turn", Interruption::Gateway),
    case(
        "long-answer",
        "an answer of 60,000 characters",
        talk(
            |_| "LONG 60000".to_owned(),
            Expected::Answer { said: Said::Long(60_000), documents: 0, review: false, turns: 1 },
        ),
    ),
    case(
        "heartbeat-token",
        "HEARTBEAT_OK is posted nowhere",
        talk(|_| say("HEARTBEAT_OK"), Expected::Silence),
    ),
    case(
        "quoted-error",
        "an answer that quotes an error of the gateway is posted",
        talk(
            |_| say(QUOTE),
            Expected::Answer { said: Said::This(QUOTE), documents: 0, review: false, turns: 1 },
        ),
    ),
    Case {
        real: Some(RealModel {
            words: |_| "Please answer.".to_owned(),
            expected: Expected::NoTurn,
            turns: 1,
        }),
        ..case(
            "unknown-agent",
            "an agent that the gateway does not have gets no turn",
            Talk { speakers: Speakers::Unknown, ..talk(|_| say(DONE), Expected::NoTurn) },
        )
    },
    provider("provider-400", "the provider answers 400", |_| "FAIL 400 the request is invalid".to_owned()),
    provider("provider-429", "the provider answers 429", |_| "FAIL 429 too many requests".to_owned()),
    provider("provider-500", "the provider answers 500", |_| "FAIL 500 server error".to_owned()),
    provider("provider-idle", "the provider begins an answer and stops", |_| "STALL".to_owned()),
    provider("provider-hang", "the provider never answers", |_| "HANG".to_owned()),
    provider("provider-overflow", "the conversation exceeds the model's context", |_| {
        "FAIL 400 context_length_exceeded: This model's maximum context length is 128000 tokens.".to_owned()
    }),
    provider("provider-unlisted", "the provider fails with a status and a text that no table has", |_| {
        "FAIL 418 Zorblatt 7 is out of plumbus.".to_owned()
    }),
    // The gateway blocks the agent's key for a minute after these two, so they are the last.
    provider("provider-402", "the provider answers 402", |_| "FAIL 402 no credit left".to_owned()),
    provider("provider-401", "the provider answers 401", |_| "FAIL 401 the key is invalid".to_owned()),
];

/// An honest answer about an error.
const QUOTE: &str = "The log says: LLM request timed out. That was yesterday, and the server was replaced.";

fn say(text: &str) -> String {
    format!("SAY {text}")
}

/// A call in a tool round of its own.
#[derive(Clone, Copy)]
enum ToolRound {
    Load,
    Write,
    Review,
}

/// One tool round after the other, then the answer.
fn rounds(names: &Names<'_>, rounds: &[ToolRound]) -> String {
    let calls = rounds.iter().map(|round| match round {
        ToolRound::Load => format!("CALL task_load {}", json!({"taskId": names.task})),
        ToolRound::Write => document(names, 0),
        ToolRound::Review => {
            format!("CALL task_status {}", json!({"taskId": names.task, "status": "review"}))
        }
    });
    then_done(&calls.collect::<Vec<_>>().join(THEN))
}

/// Divides the rounds of a message.
const THEN: &str = "\nTHEN\n";

/// These rounds, then the answer. A resumed or repeated turn is another round, and has the same answer.
fn then_done(rounds: &str) -> String {
    [rounds, &say(DONE), &say(DONE), &say(DONE)].join(THEN)
}

/// Several calls in one reply, then the answer.
fn calls(names: &Names<'_>, count: usize) -> String {
    let calls: Vec<String> = (0..count).map(|number| document(names, number)).collect();
    then_done(&calls.join("\n"))
}

fn document(names: &Names<'_>, number: usize) -> String {
    let title = format!("{} {number}", names.code);
    let arguments = json!({"title": title, "content": "A test.", "type": "note", "taskId": names.task});
    format!("CALL document_upsert {arguments}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_the_real_turns_have_a_cap() {
        let ids: HashSet<_> = CASES.iter().map(|case| case.id).collect();
        assert_eq!(ids.len(), CASES.len());
        let turns: u32 = CASES.iter().filter_map(|case| case.real).map(|real| real.turns).sum();
        assert!(turns <= REAL_TURNS_MAX, "{turns}");
    }

    #[test]
    fn the_words_of_a_case_are_directives() {
        let names = Names { task: "t1", code: "c1" };
        assert_eq!(
            rounds(&names, &[ToolRound::Load]),
            "CALL task_load {\"taskId\":\"t1\"}\nTHEN\nSAY It is done.\nTHEN\nSAY It is done.\nTHEN\nSAY It is done."
        );
        assert_eq!(calls(&names, 8).matches("CALL document_upsert ").count(), 8);
    }
}
