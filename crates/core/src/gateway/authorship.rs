//! Decides whether the text of a reply is the agent's.
//!
//! Releases up to 2026.7 send their own error messages as completed replies, and a placeholder if the model failed (spec
//! §12.3). Three sources tell such a text from the agent's: the known messages ([`failure_in`]), the output tokens of
//! the run, and the session's history ([`source_of`]). Doubt is a failure, never words of the agent.
//!
//! | text | output tokens | history | verdict |
//! |---|---|---|---|
//! | unknown | some, or not reported | written by the model | the agent's |
//! | unknown | some | not readable | the agent's |
//! | unknown | not reported | not readable | failure |
//! | unknown | some, or not reported | another answer of the model | the agent's, without its control words |
//! | unknown | some, or not reported | failed model call, or no answer of the model | failure |
//! | known message, or any text without output tokens | | written by the model | the agent's |
//! | known message | | anything else | failure of its kind |
//! | any text without output tokens | | anything else | failure |
//! | the word of silence | | not read, because old releases hide it | the agent's |
//! | placeholder | some | no failed model call | silence |
//! | placeholder | none | empty items only | silence |
//! | placeholder | none | anything else | the provider failed |
//!
//! The history is read only if the verdict depends on it: always for a release whose errors may be texts, otherwise only for
//! a doubtful text.
//!
//! [`source_of`]: super::history::source_of

use super::codec::TurnFailure;
use super::dialect::Dialect;
use super::gateway_texts::{SILENCE, failure_in, is_placeholder, status_in};
use super::history::TextSource;
use super::{Reply, Why};

/// How far the text of a reply is trusted before the history is read.
#[derive(Debug)]
pub enum Trust {
    /// It is the agent's.
    Full,
    /// It is the agent's unless the history shows otherwise.
    Checked,
    /// It is this failure unless the history shows that the model wrote it.
    Doubted(TurnFailure),
}

/// Judges a reply of a gateway of this dialect.
pub fn trust(reply: &Reply, dialect: Dialect) -> Trust {
    let errors_may_be_texts = dialect.errors_may_be_texts();
    let Some(text) = reply.text.as_deref().filter(|_| reply.calls.is_empty()) else { return Trust::Full };
    if text.trim() == SILENCE {
        return Trust::Full;
    }
    let wrote_nothing = reply.usage.is_some_and(|usage| usage.output_tokens == 0);
    let failure = |why| Trust::Doubted(TurnFailure::ended(why, text));
    let status = || status_in(text).filter(|_| dialect.errors_may_be_statuses() || wrote_nothing);
    if let Some(known) = failure_in(text).or_else(status) {
        return failure(known);
    }
    match (is_placeholder(text), wrote_nothing) {
        (true, true) => failure(Why::ProviderTrouble),
        (false, true) => failure(Why::GatewayText),
        (_, false) if errors_may_be_texts => Trust::Checked,
        (_, false) => Trust::Full,
    }
}

/// A lost answer from the history, unless it is a provider's error that this release stores like an answer.
pub fn adopted(reply: Reply, dialect: Dialect) -> Result<Reply, Why> {
    let status = reply.text.as_deref().filter(|_| dialect.errors_may_be_statuses()).and_then(status_in);
    status.map_or(Ok(reply), Err)
}

/// The verdict on a reply, once the history was read.
pub fn verdict(reply: Reply, trust: Trust, source: TextSource) -> Result<Reply, TurnFailure> {
    let failed = |why: Why, known: Option<TurnFailure>| {
        // The message in the text is more exact than an aborted or failed model call.
        let failure = known.filter(|known| !matches!(known.why, Why::GatewayText | Why::ProviderTrouble));
        failure.unwrap_or_else(|| {
            // Only the gateway aborts a run and then answers it: its provider was silent.
            let why = if why == Why::Interrupted { Why::ProviderTrouble } else { why };
            TurnFailure::ended(why, reply.text.as_deref().unwrap_or_default())
        })
    };
    let failure = match (trust, source) {
        (Trust::Full, _)
        | (_, TextSource::Model | TextSource::Silence)
        | (Trust::Checked, TextSource::ModelsOtherText) => return Ok(reply),
        // The output tokens show that the model wrote something.
        (Trust::Checked, TextSource::Unknown) if reply.usage.is_some() => return Ok(reply),
        (Trust::Checked, TextSource::Unknown) => {
            TurnFailure::ended(Why::GatewayText, reply.text.as_deref().unwrap_or_default())
        }
        // The history has our request, and the model has not answered it.
        (Trust::Checked, TextSource::NoAnswer) => {
            let text = reply.text.as_deref().unwrap_or_default();
            if is_placeholder(text) {
                return Ok(reply);
            }
            TurnFailure::ended(Why::GatewayText, text)
        }
        (Trust::Checked, TextSource::Gateway(why)) => failed(why, None),
        (Trust::Doubted(known), TextSource::Gateway(why)) => failed(why, Some(known)),
        (Trust::Doubted(known), TextSource::ModelsOtherText | TextSource::NoAnswer | TextSource::Unknown) => {
            known
        }
    };
    Err(TurnFailure { usage: reply.usage, ..failure.with_run(reply.id) })
}

#[cfg(test)]
mod tests {
    use super::super::dialect::{Release, ToolShape};
    use super::super::{Class, Usage};
    use super::*;

    fn reply(text: &str, output_tokens: Option<u64>) -> Reply {
        let usage = output_tokens.map(|output_tokens| Usage { output_tokens, ..Usage::default() });
        Reply { text: Some(text.to_owned()), usage, ..Reply::default() }
    }

    /// A gateway that shows no version.
    const OLD: Dialect =
        Dialect { release: None, tools: ToolShape::Flat, probed: true, history: None, unsteady: false };

    const MESSAGE: &str = "LLM request timed out.";
    const OVERFLOW: &str = "Context overflow: prompt too large for the model.";
    const NEW: &str = "The moon is not in the house of Mercury today.";
    const NOTHING: &str = "No response from OpenClaw.";

    /// The table of this module, for a release whose errors may be texts.
    #[test]
    fn doubt_is_a_failure_and_never_words_of_the_agent() {
        use TextSource::{Gateway, Model, ModelsOtherText, NoAnswer, Silence, Unknown};
        let trouble = Gateway(Why::ProviderTrouble);
        let aborted = Gateway(Why::Interrupted);
        let ok = None;
        let rows: &[(&str, Option<u64>, TextSource, Option<Why>)] = &[
            (NEW, Some(9), Model, ok),
            (NEW, Some(9), Unknown, ok),
            (NEW, Some(9), NoAnswer, Some(Why::GatewayText)),
            (NEW, None, NoAnswer, Some(Why::GatewayText)),
            (NEW, Some(9), ModelsOtherText, ok),
            (NEW, None, ModelsOtherText, ok),
            (MESSAGE, Some(9), ModelsOtherText, Some(Why::ProviderTrouble)),
            (NEW, Some(9), trouble, Some(Why::ProviderTrouble)),
            (NEW, Some(9), aborted, Some(Why::ProviderTrouble)),
            (NEW, None, Unknown, Some(Why::GatewayText)),
            (NEW, None, Model, ok),
            (NEW, None, trouble, Some(Why::ProviderTrouble)),
            (NEW, Some(0), Model, ok),
            (NEW, Some(0), trouble, Some(Why::ProviderTrouble)),
            (NEW, Some(0), NoAnswer, Some(Why::GatewayText)),
            (NEW, Some(0), Unknown, Some(Why::GatewayText)),
            (MESSAGE, Some(6), Model, ok),
            (MESSAGE, Some(6), NoAnswer, Some(Why::ProviderTrouble)),
            (MESSAGE, Some(0), Unknown, Some(Why::ProviderTrouble)),
            (MESSAGE, Some(0), aborted, Some(Why::ProviderTrouble)),
            (MESSAGE, Some(0), Gateway(Why::ProviderRefused), Some(Why::ProviderRefused)),
            (OVERFLOW, Some(0), trouble, Some(Why::ContextTooLong)),
            (OVERFLOW, None, Unknown, Some(Why::ContextTooLong)),
            ("400 bad", None, Unknown, Some(Why::ProviderRejected)),
            ("400 bad", Some(3), Model, ok),
            (NOTHING, Some(3), NoAnswer, ok),
            (NOTHING, Some(3), Silence, ok),
            (NOTHING, Some(3), trouble, Some(Why::ProviderTrouble)),
            (NOTHING, Some(0), Silence, ok),
            (NOTHING, Some(0), Gateway(Why::ProviderRejected), Some(Why::ProviderRejected)),
            (NOTHING, Some(0), NoAnswer, Some(Why::ProviderTrouble)),
            (NOTHING, Some(0), Unknown, Some(Why::ProviderTrouble)),
        ];
        for tokens in [None, Some(0), Some(9)] {
            assert!(matches!(trust(&reply("HEARTBEAT_OK\n", tokens), OLD), Trust::Full), "{tokens:?}");
        }
        for (text, tokens, source, expected) in rows {
            let reply = reply(text, *tokens);
            let trust = trust(&reply, OLD);
            let failed = verdict(reply, trust, *source).err();
            assert_eq!(failed.as_ref().map(|f| f.why), *expected, "{text} {tokens:?} {source:?}");
            assert!(failed.is_none_or(|failure| failure.class != Class::Lost), "the run has ended");
        }
    }

    /// A current release reports failures as failures. Only a doubtful text costs a reading of the history.
    #[test]
    fn a_current_release_is_read_only_in_doubt() {
        let release = Some(Release { year: 2026, month: 9, number: 6 });
        let current = Dialect { release, ..OLD };
        for (text, tokens) in
            [(NEW, Some(9)), (NEW, None), ("404 is the status", Some(4)), (NOTHING, Some(3))]
        {
            assert!(matches!(trust(&reply(text, tokens), current), Trust::Full), "{text}");
        }
        for (text, tokens) in [(NEW, Some(0)), (MESSAGE, Some(9)), (MESSAGE, None), ("404 lost", Some(0))] {
            assert!(matches!(trust(&reply(text, tokens), current), Trust::Doubted(_)), "{text}");
        }
    }

    #[test]
    fn calls_are_always_the_agents() {
        let call = super::super::ToolCall {
            call_id: "c1".to_owned(),
            name: "task_status".to_owned(),
            arguments: "{}".to_owned(),
        };
        let with_call = Reply { calls: vec![call], ..reply(MESSAGE, Some(0)) };
        assert!(matches!(trust(&with_call, OLD), Trust::Full));
        assert!(matches!(trust(&Reply::default(), OLD), Trust::Full));
    }
}
