//! What answers of a gateway are taken for, without a gateway: no connection, no waiting.

use std::io::Read;
use std::time::Duration;

use mcr_core::gateway::codec::{ErrorResponse, TurnFailure, refusal};
use mcr_core::gateway::dialect::{Dialect, ToolShape};
use mcr_core::gateway::{Class, GatewayError, Progress, Reply, Why};
use mcr_model::memory::ByteBudget;
use mcr_model::redact::Redactor;

use super::accepted_answer::AcceptedAnswer;

/// An answer as it comes: its head, and where its body comes from.
pub struct Raw<'a> {
    /// Its status.
    pub status: u16,
    /// Its `Content-Type`.
    pub kind: &'a str,
    /// Its `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// Its body.
    pub body: &'a mut dyn Read,
    /// More bytes than this are not taken.
    pub most: usize,
}

/// What a turn with tools of this dialect would come to if this were the answer.
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
            errors_may_be_texts: dialect.errors_may_be_texts(),
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
    read.map_err(|failure| failure.with_status(status).told(&Redactor::default()))
}
