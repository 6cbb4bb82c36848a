//! Reads an answer of a gateway without a gateway: no connection, no waiting.

use std::io::Read;
use std::time::Duration;

use mcr_core::gateway::codec::{ErrorResponse, TurnFailure, refusal};
use mcr_core::gateway::dialect::{Dialect, ToolShape};
use mcr_core::gateway::{Class, GatewayError, Progress, Reply, Why};
use mcr_model::memory::ByteBudget;
use mcr_model::redact::Redactor;

use super::accepted_answer::AcceptedAnswer;

/// The parts of an HTTP answer: its head, and a reader for its body.
pub struct Raw<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The header `Content-Type`.
    pub kind: &'a str,
    /// The header `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// The body.
    pub body: &'a mut dyn Read,
    /// The most bytes of the body that are read.
    pub most: usize,
}

/// The result of a turn with tools of this dialect, if this were its answer.
pub fn rehearse(
    raw: Raw<'_>,
    dialect: Dialect,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Reply, GatewayError> {
    let Raw { status, kind, retry_after, body, most } = raw;
    let lost = || TurnFailure::new(Class::Lost, Why::LostAnswer);
    let read = if status == 200 {
        let taken = AcceptedAnswer {
            kind: &kind.to_ascii_lowercase(),
            most,
            announced: None,
            memory: (&ByteBudget::default().gateway, Duration::ZERO),
            pace: &|_| Ok(()),
            broken: &|_| lost(),
            behind: &|_, _| {},
        };
        taken.read(body, progress)
    } else {
        let mut bytes = Vec::new();
        let tools: Option<ToolShape> = Some(dialect.tools);
        match body.take(most as u64).read_to_end(&mut bytes) {
            Ok(_) => Err(refusal(&ErrorResponse { status, body: &bytes, retry_after, tools })),
            Err(_) => Err(lost()),
        }
    };
    read.map_err(|failure| failure.with_status(status).into_error(&Redactor::default()))
}
