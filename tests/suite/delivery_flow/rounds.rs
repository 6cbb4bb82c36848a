//! Tool rounds with every release of the scripted gateway that shows a history: the answer of any turn is lost, cut off,
//! late, or lost across a restart of the runtime or the gateway. The oracle is the gateway's own book: each turn costs one
//! model call, each tool runs once, and one answer is posted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mission_control_runtime::delivery::{Job, Outcome, Record};
use mission_control_runtime::demo::gateway::{
    ANY_AGENT, BODY_BYTES, Fault, Options, PATH, Prompt, Release, ScriptedGateway, Seen, Thought,
};
use mission_control_runtime::gateway::ToolCall;
use mission_control_runtime::gateway::client::{GatewayEndpoint, GatewayLimits, HttpGateway};
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::model::BaseUrl;
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wire::{Roots, Stop};
use serde_json::json;

use super::setup::Fixture;
use crate::support::beats;
use crate::support::service_parts::ServiceParts;

const TOKEN: &str = "token-of-the-rounds";

/// The releases whose agents call tools.
const RELEASES: [Release; 10] = [
    Release::V2026_3_24,
    Release::V2026_3_31,
    Release::V2026_4_15,
    Release::V2026_5_7,
    Release::V2026_5_28,
    Release::V2026_6_11,
    Release::V2026_7_1,
    Release::V2026_7_35,
    Release::V2026_8_2,
    Release::V2026_9_6,
];

/// What happens to the answer of one turn.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mishap {
    Lost,
    Half,
    /// It is withheld until the client gives up.
    Late,
    /// It is lost, and another process continues.
    RuntimeRestart,
    /// It is lost with the gateway's process.
    GatewayRestart,
}

/// How often the model was called, by the round whose results it had. Calls while the client had yet to run its calls have no
/// round.
type ModelCalls = Arc<Mutex<BTreeMap<Option<usize>, usize>>>;

/// The number of the last round whose results a text has.
fn round_of(text: &str) -> usize {
    let result = text.find(" result ").map(|at| &text[at + 8..]);
    result.and_then(|rest| rest.split('.').next()).map_or(0, |round| round.parse().unwrap())
}

/// A model that writes `calls` documents in each of `rounds` rounds, and then answers.
fn writer(rounds: usize, calls: usize, counts: ModelCalls) -> impl Fn(&Prompt) -> Thought + Send + Sync {
    move |prompt: &Prompt| {
        let round = round_of(&prompt.text);
        *counts.lock().unwrap().entry((!prompt.waits).then_some(round)).or_default() += 1;
        let document = |number: usize| {
            let title = format!("{}.{number}", round + 1);
            ("document_upsert", json!({"title": title, "content": "text", "type": "note"}))
        };
        match () {
            () if prompt.waits => Thought::say("I wait for the results."),
            () if round < rounds => Thought::calls((1..=calls).map(document)),
            () => Thought::say("All written."),
        }
    }
}

/// A gateway behind a socket, whose process can be replaced.
struct Line {
    gateway: Arc<Mutex<ScriptedGateway>>,
    server: Server,
    client: HttpGateway,
    counts: ModelCalls,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.gateway.lock().unwrap().end();
        self.server.stop(Duration::ZERO);
    }
}

impl Line {
    fn new(release: Release, rounds: usize, calls: usize, silence: Duration) -> Self {
        let options = Options {
            release,
            token: Some(TOKEN.to_owned()),
            agents: vec![ANY_AGENT.to_owned()],
            tools_allowed: ["sessions_list", "sessions_history"].map(str::to_owned).to_vec(),
            ..Options::default()
        };
        let counts = ModelCalls::default();
        let model = Arc::new(writer(rounds, calls, Arc::clone(&counts)));
        let gateway = Arc::new(Mutex::new(ScriptedGateway::new(options, model)));
        let doors = Arc::clone(&gateway);
        let limits = ServerLimits::default().with_body_limit(PATH, BODY_BYTES);
        let server = Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, move |request| {
            let gateway = doors.lock().unwrap().clone();
            gateway.answer(&request)
        })
        .unwrap();
        let url = BaseUrl::parse(&format!("http://{}", server.local_addr())).unwrap();
        let token = Secret::new(TOKEN);
        let redactor = Arc::new(Redactor::new([&token]));
        let roots = Roots::load(None).unwrap();
        let limits = GatewayLimits::new(silence);
        let client =
            GatewayEndpoint::with_limits(url, Some(token), &roots, redactor, limits).client(&Stop::new());
        assert!(client.probe().ready);
        client.identify();
        Self { gateway, server, client, counts }
    }

    fn restart(&self) {
        let mut gateway = self.gateway.lock().unwrap();
        let next = gateway.restarted();
        *gateway = next;
    }
}

/// Delivers one mention, and lets the answer of the turn `at` be lost.
fn check(release: Release, rounds: usize, calls: usize, at: usize, mishap: Mishap) {
    let name = format!("{release:?}, {rounds} rounds of {calls} calls, {mishap:?} at turn {at}");
    let silence = if mishap == Mishap::Late { Duration::from_millis(500) } else { Duration::from_secs(20) };
    let line = Line::new(release, rounds, calls, silence);
    let mut fixture = Fixture::new();
    let mut job = fixture.mention("@ben, write it down");
    let fault = match mishap {
        Mishap::Lost | Mishap::RuntimeRestart | Mishap::GatewayRestart => Fault::LoseAnswer,
        Mishap::Half => Fault::CutAfter(5),
        Mishap::Late => Fault::StallAfter,
    };
    // A fault that harms nothing holds the places of the turns before.
    for _ in 0..at {
        line.gateway.lock().unwrap().faults().next(Fault::SlowFirstByte(Duration::ZERO));
    }
    line.gateway.lock().unwrap().faults().next(fault);
    let mut attempts = 0;
    loop {
        match fixture.outcome_with(&mut job, &line.client) {
            Outcome::Closed(end) => {
                assert_eq!(end.name(), "answered", "{name}");
                break;
            }
            Outcome::Again { trouble, .. } => {
                attempts += 1;
                assert!(attempts < 5, "{name}: {trouble}");
                match mishap {
                    Mishap::RuntimeRestart => continue_elsewhere(&mut fixture, &mut job),
                    Mishap::GatewayRestart if attempts == 1 => line.restart(),
                    Mishap::Late => line.gateway.lock().unwrap().faults().release(),
                    _ => {}
                }
            }
        }
    }
    assert_eq!(attempts, 1, "{name}: the answer is adopted at the first reading");
    let counts = line.counts.lock().unwrap().clone();
    let turns = (0..=rounds).map(|round| (Some(round), 1));
    let waiting = release.asks_again().then_some((None, rounds));
    let expected: BTreeMap<_, _> = turns.chain(waiting).collect();
    assert_eq!(counts, expected, "{name}: model calls");
    let is_told = |seen: &Seen| seen.instructions.contains("one call at a time");
    let requests = line.gateway.lock().unwrap().observations().requests();
    assert!(requests.iter().all(|seen| is_told(seen) != release.hands_out_all_calls()), "{name}");
    let mut titles: Vec<String> = fixture
        .team
        .board
        .rows("documents")
        .iter()
        .map(|row| row["title"].as_str().unwrap().to_owned())
        .collect();
    titles.sort();
    let wanted: Vec<String> =
        (1..=rounds).flat_map(|round| (1..=calls).map(move |call| format!("{round}.{call}"))).collect();
    assert_eq!(titles, wanted, "{name}: documents");
    let messages: Vec<_> = fixture.messages_of_ben().iter().map(|row| row["content"].clone()).collect();
    assert_eq!(messages, [json!("All written.")], "{name}: messages");
    assert!(fixture.is_delivered(&job), "{name}");
}

/// Another process continues with what the ledger has.
fn continue_elsewhere(fixture: &mut Fixture, job: &mut Job) {
    let stored = serde_json::to_value(&job.record).unwrap();
    job.record = serde_json::from_value::<Record>(stored).unwrap();
    let (people, sessions) = (fixture.parts.people.clone(), Arc::clone(&fixture.parts.sessions));
    fixture.parts = ServiceParts::new(people, sessions, beats::none(&fixture.team.board.account));
    fixture.restart(job);
}

fn check_all(mishap: Mishap) {
    for release in RELEASES {
        for (rounds, calls) in (1..=3).flat_map(|rounds| (1..=3).map(move |calls| (rounds, calls))) {
            for at in 0..=rounds {
                check(release, rounds, calls, at, mishap);
            }
        }
    }
}

#[test]
fn a_lost_answer_of_any_round_is_adopted() {
    check_all(Mishap::Lost);
}

#[test]
fn an_answer_that_is_cut_off_is_adopted() {
    check_all(Mishap::Half);
}

#[test]
fn a_lost_answer_is_adopted_by_the_next_process() {
    check_all(Mishap::RuntimeRestart);
}

#[test]
fn a_lost_answer_is_adopted_from_the_next_process_of_the_gateway() {
    check_all(Mishap::GatewayRestart);
}

/// A call of which the history shows only a part is reported to the agent, and never runs.
#[test]
fn an_incomplete_call_is_reported_and_not_run() {
    let fixture = Fixture::new();
    let mut job = fixture.mention("@ben, write it down");
    fixture.gateway.calls(&[("document_upsert", ToolCall::INCOMPLETE)]).says("I try again later.");
    assert_eq!(fixture.deliver(&mut job), "answered");
    let results = fixture.gateway.take_seen().remove(1).outputs;
    assert!(results[0].output.contains("only a part of this call arrived"), "{results:?}");
    assert!(fixture.team.board.rows("documents").is_empty());
}

/// Each case waits for the limit of silence, so the shapes are fewer.
#[test]
fn a_late_answer_is_adopted() {
    for release in RELEASES {
        for at in 0..=1 {
            check(release, 1, 2, at, Mishap::Late);
        }
    }
}

/// spec §12.3: 2026.3.31 hands out the last call of a reply. The others are run by the history.
#[test]
fn eight_calls_of_one_reply_run_once_on_every_release() {
    for release in RELEASES {
        for at in 0..=1 {
            check(release, 1, 8, at, Mishap::Lost);
        }
    }
}
