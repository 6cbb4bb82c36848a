//! What follows an answer, over sockets, against the books of the queue and of Telegram.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mission_control_runtime::clock::{Clock, Millis, SystemClock};
use mission_control_runtime::convex::ConvexEndpoint;
use mission_control_runtime::delivery::journal::{JournalError, Wait};
use mission_control_runtime::demo::pool::{Enqueue, PoolAgent, PoolBackend, PoolFault, PoolPolicy};
use mission_control_runtime::demo::telegram::{ScriptedTelegram, TelegramFault};
use mission_control_runtime::http::server::Server;
use mission_control_runtime::model::{BaseUrl, ClaimedJob, TelegramParseMode, WorkerId};
use mission_control_runtime::pool::lease::FenceReason;
use mission_control_runtime::pool::outbox::{Destination, Outbox};
use mission_control_runtime::pool::*;
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::telegram;
use mission_control_runtime::telegram::BotToken;
use mission_control_runtime::telegram::client::{TelegramClient, TelegramEndpoint, TelegramLimits};
use mission_control_runtime::wire::{Roots, Stop};

const TOKEN: &str = "123:abc";

/// A clock that runs ahead as far as a test waits.
struct AheadClock(AtomicI64);

impl Clock for AheadClock {
    fn now(&self) -> Millis {
        SystemClock.now() + Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

impl AheadClock {
    fn wait_until(&self, until: Millis) {
        let ms = until.since(self.now()).as_millis();
        self.0.fetch_add(i64::try_from(ms).unwrap() + 1, Ordering::SeqCst);
    }
}

struct Bench {
    backend: PoolBackend,
    api: ScriptedTelegram,
    pool: PoolClient,
    telegram: TelegramClient,
    bot: BotToken,
    clock: Arc<AheadClock>,
    _servers: [Server; 2],
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(AheadClock(AtomicI64::new(0)));
        let backend = PoolBackend::with_clock(PoolPolicy::default(), clock.clone());
        let telegram_token = Some(TOKEN.to_owned());
        backend.put_agent(PoolAgent { key: "a".to_owned(), enabled: true, telegram_token, bridge: None });
        let api = ScriptedTelegram::new();
        api.add_bot(TOKEN);
        let servers = [backend.serve("127.0.0.1:0").unwrap(), api.serve("127.0.0.1:0").unwrap()];
        let base = |server: &Server| BaseUrl::parse(&format!("http://{}", server.local_addr())).unwrap();
        let (roots, stop) = (Roots::load(None).unwrap(), Stop::new());
        let convex = ConvexEndpoint::new(base(&servers[0]), &roots, Arc::new(Redactor::default()));
        let pool = PoolClient::new(Arc::new(convex.client(&stop)), "agentFactory", Duration::from_secs(20));
        let telegram =
            TelegramEndpoint::new(base(&servers[1]), &roots, TelegramLimits::default()).client(&stop);
        let bot = BotToken::parse(&Secret::new(TOKEN)).unwrap();
        Self { backend, api, pool, telegram, bot, clock, _servers: servers }
    }

    /// Enqueues a message and claims it.
    fn job(&self, worker: &WorkerId) -> ClaimedJob {
        self.backend.enqueue(Enqueue::telegram("c1", "a", "7", "hi")).unwrap();
        self.claim(worker)
    }

    fn claim(&self, worker: &WorkerId) -> ClaimedJob {
        self.pool.ask(&Claim { worker_id: worker, conversation_id: None }).unwrap().expect("a job")
    }

    fn delivery<'a>(&'a self, job: &'a ClaimedJob, worker: &'a WorkerId) -> AnswerDelivery<'a> {
        AnswerDelivery {
            pool: &self.pool,
            telegram: &self.telegram,
            bot: Some(&self.bot),
            job,
            worker,
            workspace: "default",
            clock: &*self.clock,
        }
    }

    /// Works until the answer is over; pauses pass at once.
    fn finish(&self, outbox: &mut Outbox, job: &ClaimedJob, worker: &WorkerId) {
        let delivery = self.delivery(job, worker);
        for _ in 0..100 {
            match delivery.advance(outbox, &mut || LeaseCheck::Held, &mut |_, _| Ok(())) {
                AnswerState::Over => return,
                AnswerState::Waits(until) => self.clock.wait_until(until),
                other => panic!("{other:?}"),
            }
        }
        panic!("the answer is never over: {outbox:?}");
    }

    /// The history as roles and texts.
    fn history(&self) -> Vec<(String, String)> {
        let rows = self.backend.conversation("c1").map(|row| row.history).unwrap_or_default();
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
        rows.iter().map(|row| (text(row, "role"), text(row, "content"))).collect()
    }

    fn status(&self, job: &ClaimedJob) -> String {
        self.backend.message(job.message_id.as_str()).unwrap().status.to_string()
    }
}

fn answer(text: &str) -> Outbox {
    let to = Destination::new("7", TelegramParseMode::Plain);
    Outbox::new(text.to_owned(), telegram::chunks(text), Some(to))
}

/// Three messages of words with their number, so that each is different.
fn long_answer() -> String {
    (0..1_500).map(|n| format!("word{n:04}")).collect::<Vec<_>>().join(" ")
}

/// The exchange of one job.
fn exchange(text: &str) -> Vec<(String, String)> {
    let of = str::to_owned;
    vec![(of("user"), of("hi")), (of("assistant"), of(text))]
}

#[test]
fn an_answer_is_appended_sent_in_order_and_completed() {
    let bench = Bench::new();
    let worker = WorkerId::new("w1");
    let job = bench.job(&worker);
    let text = long_answer();
    bench.finish(&mut answer(&text), &job, &worker);
    assert_eq!(bench.history(), exchange(&text));
    let texts = bench.api.texts("7");
    assert_eq!((texts.len(), texts.join(" ")), (4, text));
    assert_eq!(bench.status(&job), "done");
}

/// Each fault of each call. Only a message whose connection was cut may be missing, and then the outbox says so.
#[test]
fn no_fault_appends_or_sends_twice() {
    let mut rows = Vec::new();
    for function in ["workerAppendConversationMessages", "workerComplete", "workerHydrationBundle"] {
        for fault in [PoolFault::LoseAnswer, PoolFault::Cut, PoolFault::Overload] {
            rows.push((vec![(function, fault)], vec![]));
        }
    }
    let append = "workerAppendConversationMessages";
    rows.push((vec![(append, PoolFault::LoseAnswer), ("workerHydrationBundle", PoolFault::Cut)], vec![]));
    rows.push((vec![(append, PoolFault::Cut), (append, PoolFault::LoseAnswer)], vec![]));
    let telegram = [
        TelegramFault::RetryAfter(0),
        TelegramFault::Fails(500, "Internal Server Error"),
        TelegramFault::CutAfter,
        TelegramFault::CutBefore,
        TelegramFault::Proxy(502),
    ];
    rows.extend(telegram.into_iter().map(|fault| (vec![], vec![fault])));
    for (pool_faults, telegram_faults) in rows {
        let bench = Bench::new();
        let worker = WorkerId::new("w1");
        let job = bench.job(&worker);
        let what = format!("{pool_faults:?} {telegram_faults:?}");
        for (function, fault) in &pool_faults {
            bench.backend.plan(function, *fault);
        }
        for fault in &telegram_faults {
            bench.api.plan(fault.clone());
        }
        let text = long_answer();
        let mut outbox = answer(&text);
        bench.finish(&mut outbox, &job, &worker);
        assert!(bench.history() == exchange(&text), "{what}");
        let arrived = bench.api.texts("7");
        let is_expected =
            |part: &usize| !outbox.uncertain.contains(part) || arrived.contains(&outbox.parts[*part]);
        let expected: Vec<String> =
            (0..outbox.parts.len()).filter(is_expected).map(|part| outbox.parts[part].clone()).collect();
        assert!(arrived == expected, "{what}: each message once and in order");
        let may_be_uncertain = telegram_faults.iter().any(|fault| {
            matches!(fault, TelegramFault::CutAfter | TelegramFault::CutBefore | TelegramFault::Proxy(_))
        });
        assert_eq!(!outbox.uncertain.is_empty(), may_be_uncertain, "{what}");
        assert_eq!(bench.status(&job), "done", "{what}");
    }
}

/// A lost lease between two messages: nothing follows, and the next holder continues where it ended.
#[test]
fn without_the_lease_nothing_more_is_sent_and_the_next_attempt_continues() {
    let bench = Bench::new();
    let worker = WorkerId::new("w1");
    let job = bench.job(&worker);
    let text = long_answer();
    let mut outbox = answer(&text);
    let mut kept = String::new();
    let lease = HeldLease { worker_id: &worker, message_id: &job.message_id, lease_id: &job.lease_id };
    let mut fence = || {
        // The lease is taken away once the first message is in the chat.
        if bench.api.texts("7").len() == 1 {
            bench.backend.lose_lease(job.message_id.as_str());
        }
        let is_held = bench.pool.ask(&RenewLease { lease }).unwrap();
        if is_held { LeaseCheck::Held } else { LeaseCheck::Fenced(FenceReason::Lost) }
    };
    let mut keep = |outbox: &Outbox, _: Wait| -> Result<(), JournalError> {
        kept = serde_json::to_string(outbox).unwrap();
        Ok(())
    };
    let state = bench.delivery(&job, &worker).advance(&mut outbox, &mut fence, &mut keep);
    assert_eq!(state, AnswerState::Fenced(FenceReason::Lost));
    assert_eq!(bench.api.attempts(), 1, "no message after the loss");
    assert!(bench.backend.calls_of("workerComplete").is_empty());

    let other = WorkerId::new("w2");
    let again = bench.claim(&other);
    assert_eq!(again.message_id, job.message_id);
    let mut outbox = outbox.reclaimed();
    bench.finish(&mut outbox, &again, &other);
    assert!(bench.history() == exchange(&text));
    assert_eq!(bench.api.texts("7").join(" "), text);
    assert_eq!(bench.status(&job), "done");
}

/// The process ends after the last message and before the completion.
#[test]
fn a_second_attempt_after_a_crash_only_completes() {
    let bench = Bench::new();
    let worker = WorkerId::new("w1");
    let job = bench.job(&worker);
    bench.backend.plan("workerComplete", PoolFault::Cut);
    let mut outbox = answer("hello");
    let mut kept = String::new();
    let state =
        bench.delivery(&job, &worker).advance(&mut outbox, &mut || LeaseCheck::Held, &mut |outbox, _| {
            kept = serde_json::to_string(outbox).unwrap();
            Ok(())
        });
    assert!(matches!(state, AnswerState::Waits(_)), "{state:?}");
    drop(outbox);
    bench.backend.lose_lease(job.message_id.as_str());
    let again = bench.claim(&worker);
    let read: Outbox = serde_json::from_str(&kept).unwrap();
    bench.finish(&mut read.reclaimed(), &again, &worker);
    assert_eq!((bench.history(), bench.api.texts("7")), (exchange("hello"), vec!["hello".to_owned()]));
    assert_eq!(bench.status(&job), "done");
}

#[test]
fn a_blocked_bot_fails_the_attempt_with_its_reason_and_appends_once() {
    let bench = Bench::new();
    let worker = WorkerId::new("w1");
    bench.api.block("7");
    let job = bench.job(&worker);
    let mut outbox = answer("hello");
    bench.finish(&mut outbox, &job, &worker);
    let row = bench.backend.message(job.message_id.as_str()).unwrap();
    assert_eq!((row.status.to_string(), row.attempts), ("queued".to_owned(), 1));
    assert!(row.last_error.is_some_and(|why| why.contains("may not write to this chat")));
    bench.clock.wait_until(bench.clock.now() + Duration::from_secs(2));
    let again = bench.claim(&worker);
    bench.finish(&mut outbox.reclaimed(), &again, &worker);
    assert_eq!(bench.history(), exchange("hello"));
}

#[test]
fn a_full_history_does_not_keep_the_answer_from_the_person() {
    let bench = Bench::new();
    let worker = WorkerId::new("w1");
    let job = bench.job(&worker);
    let old =
        vec![
            NewMessage { role: mission_control_runtime::model::ChatRole::User, content: "x", at: Millis(1) };
            8_192
        ];
    let fill = AppendMessages { conversation_id: &job.conversation_id, workspace_id: None, messages: &old };
    assert!(bench.pool.ask(&fill).unwrap().updated);
    let mut outbox = answer("hello");
    bench.finish(&mut outbox, &job, &worker);
    assert_eq!(bench.api.texts("7"), ["hello"]);
    assert!(outbox.append_refusal().is_some_and(|why| why.contains("too long")), "{outbox:?}");
    assert_eq!(bench.status(&job), "done");
}

#[test]
fn an_outbox_that_cannot_be_stored_begins_nothing() {
    let bench = Bench::new();
    let worker = WorkerId::new("w1");
    let job = bench.job(&worker);
    let mut outbox = answer("hello");
    let mut full = |_: &Outbox, _: Wait| Err(JournalError("the disk is full".to_owned()));
    let state = bench.delivery(&job, &worker).advance(&mut outbox, &mut || LeaseCheck::Held, &mut full);
    assert_eq!(state, AnswerState::NotKept("the disk is full".to_owned()));
    assert!(bench.history().is_empty() && bench.api.attempts() == 0);
    bench.finish(&mut outbox, &job, &worker);
    assert_eq!((bench.history(), bench.api.texts("7")), (exchange("hello"), vec!["hello".to_owned()]));
}

#[test]
fn a_message_of_the_system_needs_no_token_and_is_only_appended() {
    let bench = Bench::new();
    let worker = WorkerId::new("w1");
    let payload = serde_json::json!({"provider": "system_push", "providerUserId": "u", "messageText": "hi"});
    bench.backend.enqueue(Enqueue::with_payload("c1", "a", payload)).unwrap();
    let job = bench.claim(&worker);
    let mut outbox = Outbox::new("hello".to_owned(), telegram::chunks("hello"), None);
    let delivery = AnswerDelivery { bot: None, ..bench.delivery(&job, &worker) };
    assert_eq!(
        delivery.advance(&mut outbox, &mut || LeaseCheck::Held, &mut |_, _| Ok(())),
        AnswerState::Over
    );
    assert_eq!((bench.history(), bench.api.attempts()), (exchange("hello"), 0));
    assert_eq!(bench.status(&job), "done");
}
