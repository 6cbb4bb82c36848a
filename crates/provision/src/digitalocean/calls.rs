//! One request to the API, its repetition, and lists in pages.

use std::sync::Arc;
use std::time::Duration;

use mcr_model::random;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure;
use crate::transport::{ApiAnswer, Transport, Verb};
use crate::{ErrorClass, Pace, ProviderError};

/// The most rows of a page.
const PAGE_ROWS: u32 = 200;

/// The most pages of a list. An API that always names a next page must not be followed for ever.
const PAGES_MAX: u32 = 500;

/// The time limits of the client.
#[derive(Clone, Copy, Debug)]
pub struct DigitalOceanLimits {
    /// The time limit of each phase of a request.
    pub request: Duration,
    /// The pause before the first repetition, where the API names none. It doubles with each further one.
    pub retry_pause: Duration,
    /// How often a request is sent at most.
    pub attempts: u32,
    /// The longest pause that the API may demand. A longer one is an error.
    pub pause_max: Duration,
    /// How long a new droplet may be missing from lists.
    pub settling: Duration,
    /// How long a droplet may take until it runs.
    pub creating: Duration,
    /// How long tags and the firewall may lag behind a new droplet.
    pub tagging: Duration,
    /// How long a shutdown may take, and then a power-off.
    pub stopping: Duration,
    /// How long a droplet may stay visible after its deletion.
    pub ending: Duration,
    /// The pause between two looks at something that changes.
    pub look: Duration,
}

impl Default for DigitalOceanLimits {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            retry_pause: Duration::from_secs(1),
            attempts: 6,
            pause_max: Duration::from_mins(5),
            settling: Duration::from_mins(3),
            creating: Duration::from_mins(10),
            tagging: Duration::from_mins(2),
            stopping: Duration::from_mins(2),
            ending: Duration::from_mins(5),
            // 250 requests are allowed in a minute.
            look: Duration::from_secs(5),
        }
    }
}

/// The connection to the API. Threads may share it.
pub(super) struct ApiCalls {
    pub(super) transport: Box<dyn Transport>,
    pub(super) pace: Arc<dyn Pace>,
    pub(super) limits: DigitalOceanLimits,
}

/// A moment after which something counts as failed.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Duration);

impl Deadline {
    /// When it is.
    pub(super) fn moment(self) -> Duration {
        self.0
    }
}

impl ApiCalls {
    /// The moment after this time.
    pub(super) fn within(&self, span: Duration) -> Deadline {
        Deadline(self.pace.elapsed() + span)
    }

    /// Waits until the next look. Returns false if there is none: the deadline has passed, or the client has to stop.
    pub(super) fn look_again(&self, deadline: Deadline) -> bool {
        self.pace.elapsed() < deadline.0 && !self.pace.wait(self.limits.look)
    }

    /// A request whose repetition does no harm. It is repeated while it may succeed. `what` begins the sentence of an error.
    pub(super) fn repeat(&self, what: &str, verb: Verb<'_>, path: &str) -> Result<Vec<u8>, ProviderError> {
        let mut attempt = 1;
        loop {
            let (error, pause) = match self.once(what, verb, path) {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            // A state that does not allow something now is for the caller, who knows what would change it.
            let may_succeed = matches!(error.class, ErrorClass::Transient | ErrorClass::Ambiguous)
                && !matches!(error.status, Some(409 | 422));
            if !may_succeed || attempt >= self.limits.attempts {
                return Err(error);
            }
            self.pause(error, pause, attempt)?;
            attempt += 1;
        }
    }

    /// Waits before a repetition, as long as the API demands or a little longer each time. An error if that is too long, or
    /// if the client has to stop.
    pub(super) fn pause(
        &self,
        error: ProviderError,
        demanded: Option<Duration>,
        attempt: u32,
    ) -> Result<(), ProviderError> {
        let grown = self.limits.retry_pause * 2_u32.saturating_pow(attempt - 1);
        let pause = demanded.unwrap_or_else(|| grown.mul_f64(0.5 + random::unit()));
        if pause > self.limits.pause_max {
            let sentence = format!("{}; try again in {} s", error.sentence, pause.as_secs());
            return Err(ProviderError { sentence, ..error });
        }
        let (tries, seconds) = (self.limits.attempts, pause.as_secs_f64().ceil());
        self.pace.progress(&format!(
            "{}. Try {} of {tries} follows in {seconds} s.",
            error.sentence,
            attempt + 1
        ));
        if self.pace.wait(pause) { Err(error) } else { Ok(()) }
    }

    /// Sends a request once. An error comes with the pause that the API demands.
    pub(super) fn once(
        &self,
        what: &str,
        verb: Verb<'_>,
        path: &str,
    ) -> Result<Vec<u8>, (ProviderError, Option<Duration>)> {
        let answer = self.transport.send(verb, path, self.limits.request);
        let answer = answer.map_err(|unanswered| (failure::of_unanswered(what, &unanswered), None))?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        let pause = self.demanded_pause(&answer);
        Err((failure::of_answer(what, answer.status, &answer.body), pause))
    }

    /// How long to wait before the next request: `Retry-After`, or until the oldest request leaves the window.
    fn demanded_pause(&self, answer: &ApiAnswer) -> Option<Duration> {
        if answer.retry_after.is_some() {
            return answer.retry_after;
        }
        let reset_at_s =
            answer.reset_at_s.filter(|_| answer.status == 429 || answer.requests_left == Some(0))?;
        let left_ms = reset_at_s.saturating_mul(1000).saturating_sub(self.pace.now().0);
        Some(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)).max(self.limits.retry_pause))
    }

    /// Reads something that may not exist.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<Option<T>, ProviderError> {
        match self.repeat(what, Verb::Get, path) {
            Ok(answer) => parsed(what, &answer).map(Some),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All rows of a list. `query` is empty, or begins with `?`.
    pub(super) fn rows<T: DeserializeOwned>(
        &self,
        what: &str,
        (path, query): (&str, &str),
        field: &str,
    ) -> Result<Vec<T>, ProviderError> {
        let (mut rows, mut page) = (Vec::new(), 1);
        loop {
            let begin = if query.is_empty() { "?" } else { "&" };
            let path = format!("{path}{query}{begin}per_page={PAGE_ROWS}&page={page}");
            let mut answer: Page = parsed(what, &self.repeat(what, Verb::Get, &path)?)?;
            let found = answer
                .fields
                .remove(field)
                .ok_or_else(|| failure::not_understood(what, &format!("the field {field} is missing")))?;
            let found: Vec<T> = serde_json::from_value(found)
                .map_err(|why| failure::not_understood(what, &why.to_string()))?;
            rows.extend(found);
            let Some(next) = answer.next_page() else { return Ok(rows) };
            if next <= page || next > PAGES_MAX {
                return Err(failure::not_understood(what, &format!("page {next} follows page {page}")));
            }
            page = next;
        }
    }
}

/// A page of a list.
#[derive(Deserialize)]
struct Page {
    #[serde(flatten)]
    fields: serde_json::Map<String, Value>,
}

impl Page {
    /// The number of the next page. Its address names a host of its own, which is not followed.
    fn next_page(&self) -> Option<u32> {
        let next = self.fields.get("links")?.get("pages")?.get("next")?.as_str()?;
        let (_, query) = next.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix("page="))?.parse().ok()
    }
}

/// Reads the JSON of a success.
pub(super) fn parsed<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, ProviderError> {
    serde_json::from_slice(body).map_err(|why| failure::not_understood(what, &why.to_string()))
}
