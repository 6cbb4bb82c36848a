//! The exchange of a one-time token for an environment, repeated while it may succeed and the token is valid.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mcr_clients::wire::{self, Phases, Roots, Stop};
use mcr_core::spans::counted;
use mcr_model::BaseUrl;
use mcr_model::secret::Secret;
use serde::Deserialize;
use ureq::http;

use super::env_file::checked;

/// The largest answer.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// The longest pause between two requests.
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// The time limits of the exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct BootstrapLimits {
    /// The time limit of each phase of a request.
    request: Duration,
    /// How long the token is valid.
    total: Duration,
    /// The pause before the first repetition. It doubles with each further one.
    pause: Duration,
}

impl Default for BootstrapLimits {
    fn default() -> Self {
        let (request, total) = (Duration::from_secs(20), Duration::from_mins(15));
        Self { request, total, pause: Duration::from_secs(1) }
    }
}

/// Why there is no environment.
#[derive(Debug)]
pub(super) struct Refusal {
    /// What happened and what to do.
    pub(super) sentence: String,
    /// Whether the control plane has refused the token.
    pub(super) is_refused: bool,
}

#[derive(Deserialize)]
struct Environment {
    environment: BTreeMap<String, String>,
}

/// What an answer means.
enum ExchangeStep {
    Values(Vec<(String, Secret)>),
    Final(Refusal),
    /// It may succeed later. The words say why it did not now.
    Later(String),
}

/// Asks until there is an answer, or the token cannot be valid any more. `progress` gets a sentence before each repetition.
pub(super) fn exchange(
    (url, token): (&BaseUrl, &Secret),
    roots: &Roots,
    limits: BootstrapLimits,
    stop: &Stop,
    progress: &dyn Fn(&str),
) -> Result<Vec<(String, Secret)>, Refusal> {
    let phases = Phases {
        connect: limits.request,
        send: limits.request,
        answer: limits.request,
        body: limits.request,
        idle: Duration::from_secs(5),
        idle_connections: 1,
    };
    let agent = wire::agent(url, roots, &phases);
    let until = Instant::now() + limits.total;
    let mut pause = limits.pause;
    loop {
        let words = match ask(&agent, url, token) {
            ExchangeStep::Values(values) => return Ok(values),
            ExchangeStep::Final(refusal) => return Err(refusal),
            ExchangeStep::Later(words) => words,
        };
        let left = until.saturating_duration_since(Instant::now());
        if pause < left {
            let (shown, pause) = (url.as_str(), pause.as_secs_f64().ceil());
            // A part of a minute counts as one.
            let minutes = counted(left.as_secs() / 60 + 1, "minute");
            progress(&format!(
                "{shown} gives no environment yet ({words}). It is asked again in {pause} s, for up to {minutes}."
            ));
        }
        if pause >= left || stop.wait(pause) {
            let (url, minutes) = (url.as_str(), limits.total.as_secs() / 60);
            let sentence = format!(
                "{url} has not given this machine its environment within {minutes} minutes ({words}); request the machine again"
            );
            return Err(Refusal { sentence, is_refused: false });
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn ask(agent: &ureq::Agent, url: &BaseUrl, token: &Secret) -> ExchangeStep {
    let refused = |sentence: String| ExchangeStep::Final(Refusal { sentence, is_refused: true });
    let body = serde_json::json!({"token": token.expose()}).to_string();
    let sent = agent
        .post(url.join("/provision/bootstrap"))
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::ACCEPT, "application/json")
        .send(body.as_bytes());
    let answer = match sent {
        Ok(answer) => answer,
        Err(error) => {
            let words = match wire::Fault::of(&error) {
                wire::Fault::NameNotFound => "its host name has no address".to_owned(),
                wire::Fault::Certificate(fault) => format!("its certificate {}", fault.explain()),
                wire::Fault::Unreachable(words) | wire::Fault::Proxy(words) | wire::Fault::NoTls(words) => {
                    words
                }
                wire::Fault::TooSlow => "it took too long".to_owned(),
                _ => "the connection ended".to_owned(),
            };
            return ExchangeStep::Later(words);
        }
    };
    let (status, shown) = (answer.status().as_u16(), url.as_str());
    let read = answer.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    match status {
        200 => {}
        408 | 425 | 429 | 500..=599 => return ExchangeStep::Later(format!("HTTP {status}")),
        400 | 401 | 403 | 404 | 409 | 410 => {
            return refused(format!(
                "{shown} does not accept the one-time token (HTTP {status}): it was used, has expired, or is for another machine; \
                 request the machine again"
            ));
        }
        _ => {
            return refused(format!(
                "{shown} answers with HTTP {status}, which no control plane does; check RUNTIME_BOOTSTRAP_URL"
            ));
        }
    }
    let Ok(body) = read else { return ExchangeStep::Later("the answer was cut off".to_owned()) };
    let Ok(Environment { environment }) = serde_json::from_slice(&body) else {
        return refused(format!(
            "{shown} answers with something else than an environment; check RUNTIME_BOOTSTRAP_URL"
        ));
    };
    if environment.is_empty() {
        return refused(format!("{shown} answers with an empty environment; request the machine again"));
    }
    for (name, value) in &environment {
        if let Err(why) = checked(name, value) {
            return refused(format!("{shown} answers with an environment that cannot be used: {why}"));
        }
    }
    ExchangeStep::Values(environment.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing listens at the address: the exchange ends when the token cannot be valid any more.
    #[test]
    fn an_unreachable_control_plane_is_asked_again_until_the_time_is_over() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = BaseUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        drop(listener);
        let limits = BootstrapLimits {
            total: Duration::from_millis(200),
            pause: Duration::from_millis(10),
            ..BootstrapLimits::default()
        };
        let token = Secret::new("c4nary");
        let shown = std::cell::RefCell::new(Vec::new());
        let progress = |sentence: &str| shown.borrow_mut().push(sentence.to_owned());
        let roots = Roots::load(None).unwrap();
        let refusal = exchange((&url, &token), &roots, limits, &Stop::new(), &progress).unwrap_err();
        let shown = shown.into_inner();
        assert!(shown[0].contains("It is asked again in 1 s, for up to 1 minute."), "{shown:?}");
        assert!(shown.iter().all(|sentence| !sentence.contains("c4nary")), "{shown:?}");
        assert!(!refusal.is_refused);
        assert!(
            refusal.sentence.contains("has not given this machine its environment"),
            "{}",
            refusal.sentence
        );
        assert!(!refusal.sentence.contains("c4nary"));
    }
}
