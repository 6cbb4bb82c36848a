//! The client of Telegram against a stand-in with its own book of every chat.

use std::time::Duration;

use mission_control_runtime::demo::telegram::{ScriptedTelegram, TelegramFault};
use mission_control_runtime::http::server::Server;
use mission_control_runtime::model::{BaseUrl, TelegramParseMode};
use mission_control_runtime::secret::Secret;
use mission_control_runtime::telegram::client::{
    FileToSend, TelegramClient, TelegramEndpoint, TelegramLimits,
};
use mission_control_runtime::telegram::{
    self, BotToken, OutgoingKind, RenderedText, TelegramError, TelegramProblem,
};
use mission_control_runtime::wire::{Roots, Stop};

use crate::support::scripted_http::{Move, Refusing, ScriptedHttp, answer};

const TOKEN: &str = "123:abc-DEF_9";

struct Bench {
    telegram: ScriptedTelegram,
    client: TelegramClient,
    bot: BotToken,
    server: Server,
}

fn client_of(url: &str, limits: TelegramLimits) -> TelegramClient {
    let base = BaseUrl::parse(url).unwrap();
    TelegramEndpoint::new(base, &Roots::load(None).unwrap(), limits).client(&Stop::new())
}

fn token(text: &str) -> BotToken {
    BotToken::parse(&Secret::new(text)).unwrap()
}

fn plain(text: &str) -> RenderedText {
    telegram::render(text, TelegramParseMode::Plain)
}

impl Bench {
    fn new() -> Self {
        Self::with(TelegramLimits::default())
    }

    fn with(limits: TelegramLimits) -> Self {
        let telegram = ScriptedTelegram::new();
        telegram.add_bot(TOKEN);
        let server = telegram.serve("127.0.0.1:0").unwrap();
        let client = client_of(&format!("http://{}", server.local_addr()), limits);
        Self { telegram, client, bot: token(TOKEN), server }
    }

    fn send(&self, text: &str) -> Result<i64, TelegramError> {
        self.client.send_text(&self.bot, "7", &plain(text)).map(|sent| sent.message_id)
    }
}

/// Nine thousand characters with `<` and `&`, in both modes.
#[test]
fn a_long_reply_with_markup_characters_arrives_whole_and_in_order() {
    let reply = "Is 1 < 2 && 3 > 2? Say `a < b` and **so**. ".repeat(210);
    for mode in [TelegramParseMode::Plain, TelegramParseMode::Html] {
        let bench = Bench::new();
        let chunks = telegram::chunks(&reply);
        assert!(chunks.len() >= 3);
        for chunk in &chunks {
            bench.client.send_text(&bench.bot, "-100", &telegram::render(chunk, mode)).unwrap();
        }
        let texts = bench.telegram.texts("-100");
        let without_marks = |text: &str| text.replace(['`', '*'], "");
        let (all, expected) = (without_marks(&texts.join(" ")), without_marks(&reply));
        assert!(all.trim_end() == expected.trim_end(), "{mode}: {texts:?}");
        assert_eq!(bench.telegram.messages()[0].has_markup, mode == TelegramParseMode::Html);
    }
}

/// What each fault means: for the caller, and in the book.
#[test]
fn each_fault_says_whether_the_message_may_be_in_the_chat() {
    let rows = [
        (TelegramFault::RetryAfter(3), TelegramProblem::Wait(Duration::from_secs(3)), false, 0),
        (TelegramFault::Fails(500, "Internal Server Error"), TelegramProblem::ServerFault, false, 0),
        (TelegramFault::Fails(400, "Bad Request: chat not found"), TelegramProblem::ChatRefused, false, 0),
        (TelegramFault::Proxy(502), TelegramProblem::ServerFault, true, 0),
        (TelegramFault::Moved(-1001), TelegramProblem::Moved("-1001".to_owned()), false, 0),
        (TelegramFault::CutBefore, TelegramProblem::LostAnswer, true, 0),
        (TelegramFault::CutAfter, TelegramProblem::LostAnswer, true, 1),
    ];
    for (fault, why, is_in_doubt, arrived) in rows {
        let bench = Bench::new();
        bench.telegram.plan(fault.clone());
        let error = bench.send("hello").expect_err("a fault");
        assert_eq!((&error.why, error.is_in_doubt), (&why, is_in_doubt), "{fault:?}");
        assert_eq!(bench.telegram.messages().len(), arrived, "{fault:?}");
        assert_eq!(bench.telegram.attempts(), 1, "{fault:?}: sent once");
        assert!(bench.send("again").is_ok());
    }
}

#[test]
fn a_request_that_telegram_cannot_have_read_is_certainly_not_sent() {
    let limits = TelegramLimits::default();
    let refusing = Refusing::new();
    let away = client_of(&format!("http://{}", refusing.address()), limits);
    let error = away.send_text(&token(TOKEN), "7", &plain("hello")).expect_err("nothing listens");
    assert_eq!((error.why, error.is_in_doubt), (TelegramProblem::Unreachable, false));
    let long = "x".repeat(4_000_000);
    for cut in [Move::CutAtOnce, Move::CutInBody(1_000)] {
        let server = ScriptedHttp::start([cut.clone()]);
        let client = client_of(&server.url(), limits);
        let error = client.send_text(&token(TOKEN), "7", &plain(&long)).expect_err("a cut");
        assert!(!error.is_in_doubt, "{cut:?}: {error}");
    }
}

#[test]
fn a_token_never_shows_in_an_error() {
    let server = ScriptedHttp::start([
        Move::Send(answer(401, &format!(r#"{{"ok":false,"description":"Unauthorized {TOKEN}"}}"#))),
        Move::SendAndCut(Vec::new()),
        Move::Send(answer(200, r#"{"ok":true,"result":"what"}"#)),
    ]);
    let client = client_of(&server.url(), TelegramLimits::default());
    for _ in 0..3 {
        let error = client.send_text(&token(TOKEN), "7", &plain("hello")).expect_err("a failure");
        let shown = format!("{error} {error:?} {client:?}");
        assert!(!shown.contains("abc-DEF_9"), "{shown}");
    }
}

#[test]
fn a_stopping_program_sends_nothing() {
    let bench = Bench::new();
    let stop = Stop::new();
    let base = BaseUrl::parse(&format!("http://{}", bench.server.local_addr())).unwrap();
    let endpoint = TelegramEndpoint::new(base, &Roots::load(None).unwrap(), TelegramLimits::default());
    let client = endpoint.client(&stop);
    stop.close();
    let error = client.send_text(&bench.bot, "7", &plain("hello")).expect_err("stopped");
    assert_eq!((error.why, error.is_in_doubt), (TelegramProblem::Stopped, false));
    assert_eq!(bench.telegram.attempts(), 0);
}

#[test]
fn typing_is_shown_in_the_chat() {
    let bench = Bench::new();
    bench.client.send_typing(&bench.bot, "-100").unwrap();
    assert_eq!(bench.telegram.actions(), [("-100".to_owned(), "typing".to_owned())]);
}

#[test]
fn files_go_both_ways_within_their_limit() {
    let bench = Bench::with(TelegramLimits { file_bytes: 100_000, ..TelegramLimits::default() });
    let content: Vec<u8> = (0..=255_u8).cycle().take(100_000).collect();
    let rows = [
        (OutgoingKind::Audio, "sendAudio", Some("A song")),
        (OutgoingKind::Photo, "sendPhoto", None),
        (OutgoingKind::Document, "sendDocument", None),
    ];
    for (kind, method, caption) in rows {
        let file = FileToSend { kind, name: "a\"b.bin", content: &content, caption };
        bench.client.send_file(&bench.bot, "7", &file).unwrap();
        let message = bench.telegram.messages().pop().expect("a message");
        assert_eq!(message.text, caption.unwrap_or_default());
        assert!(message.file == Some((method.to_owned(), "ab.bin".to_owned(), content.clone())), "{method}");
    }
    let large = vec![0; 100_001];
    let file = FileToSend { kind: OutgoingKind::Audio, name: "a", content: &large, caption: None };
    let error = bench.client.send_file(&bench.bot, "7", &file).expect_err("too large");
    assert_eq!((error.why, error.is_in_doubt), (TelegramProblem::TooLarge, false));

    bench.telegram.put_file("f1", content.clone());
    bench.telegram.put_file("f2", large);
    assert!(bench.client.fetch_file(&bench.bot, "f1").unwrap() == content);
    let why = |id: &str| bench.client.fetch_file(&bench.bot, id).expect_err("no file").why;
    assert_eq!(why("f2"), TelegramProblem::TooLarge);
    assert_eq!(why("f3"), TelegramProblem::Refused);
}

#[test]
fn a_path_that_leaves_the_folder_of_files_is_refused() {
    let found = r#"{"ok":true,"result":{"file_path":"../../bot/secret"}}"#;
    let server = ScriptedHttp::start([Move::Send(answer(200, found))]);
    let client = client_of(&server.url(), TelegramLimits::default());
    let error = client.fetch_file(&token(TOKEN), "f1").expect_err("a bad path");
    assert_eq!(error.why, TelegramProblem::NotUnderstood);
}
