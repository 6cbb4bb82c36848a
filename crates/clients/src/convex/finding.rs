//! The facts of a failed attempt, and the class that follows from them and from the call.

use std::time::Duration;

use super::error::{CallClass, CallError, CallReason, EXCERPT_CHARS_MAX, PERSON_PAUSE, Pace, Ran};
use super::{Call, FunctionKind};
use mcr_model::redact::Redactor;

/// Whether a retry may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// It may, even at once.
    Passes,
    /// It may, but not within this call: the function itself failed, for a reason that passes.
    PassesLater,
    /// A retry would fail in the same way.
    Stays,
    /// The function itself refused.
    SaidNo,
    /// The function itself reported that the object does not exist.
    SaidGone,
}

/// The facts of a failed attempt. Its texts are unredacted: only [`Finding::into_error`] releases them.
pub(super) struct Finding {
    pub(super) why: CallReason,
    pub(super) ran: Ran,
    pub(super) outlook: Outlook,
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    pub(super) literal: Option<String>,
    /// Particulars, to be shown in brackets.
    pub(super) detail: Option<String>,
}

impl Finding {
    pub(super) fn new(why: CallReason, ran: Ran, outlook: Outlook) -> Self {
        Self { why, ran, outlook, status: None, code: None, literal: None, detail: None }
    }

    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Raises `ran` to what an earlier attempt may have done.
    pub(super) fn at_least(self, ran: Ran) -> Self {
        Self { ran: self.ran.max(ran), ..self }
    }

    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// What the failure means for the caller. It is ambiguous only if something may have happened and a
    /// repeat may do harm.
    pub(super) fn class(&self, call: &Call<'_>) -> CallClass {
        let settled = self.ran == Ran::No || call.is_harmless();
        match self.outlook {
            Outlook::SaidNo => CallClass::Refused,
            Outlook::SaidGone => CallClass::Gone,
            Outlook::Passes | Outlook::PassesLater if settled => CallClass::Transient,
            Outlook::Stays if settled => CallClass::Refused,
            Outlook::Passes | Outlook::PassesLater | Outlook::Stays => CallClass::Ambiguous,
        }
    }

    /// Whether the call may be repeated automatically. It never may after an application error.
    pub(super) fn may_be_repeated(&self, call: &Call<'_>) -> bool {
        self.class(call) == CallClass::Transient && self.outlook == Outlook::Passes
    }

    /// How long to make no further calls. A condition that only a person can change requires minutes, for
    /// every reason. A wrong address is an example.
    fn not_before(&self) -> Option<Duration> {
        let stays = self.outlook == Outlook::Stays && self.why.pace() != Pace::Soon;
        if stays {
            Some(PERSON_PAUSE.max(self.why.not_before().unwrap_or_default()))
        } else {
            self.why.not_before()
        }
    }

    /// The only conversion to an error: every foreign text is cut and redacted here.
    pub(super) fn into_error(
        self,
        call: &Call<'_>,
        attempts: u32,
        request_id: &str,
        redactor: &Redactor,
    ) -> CallError {
        let class = self.class(call);
        let tidy = |text: &str| one_line(&redactor.excerpt(text, EXCERPT_CHARS_MAX));
        let code = self.code.as_deref().map(tidy);
        let literal = self.literal.as_deref().map(tidy);
        let detail = literal.clone().or_else(|| self.detail.as_deref().map(tidy)).or_else(|| code.clone());
        let sentence = sentence(call, class, self.why, detail.as_deref(), attempts);
        CallError {
            class,
            why: self.why,
            ran: self.ran,
            status: self.status,
            attempts,
            not_before: self.not_before(),
            code: code.map(Into::into),
            literal: literal.map(Into::into),
            request_id: request_id.into(),
            sentence: redactor.clean(&sentence).into(),
        }
    }
}

/// What to do if the backend does not accept the account's id.
const FOREIGN_ACCOUNT: &str = "ACCOUNT_ID is not an account of this deployment: copy ACCOUNT_ID, SERVICE_TOKEN and \
     CONVEX_URL from the same deployment.";

fn sentence(
    call: &Call<'_>,
    class: CallClass,
    why: CallReason,
    detail: Option<&str>,
    attempts: u32,
) -> String {
    let mut parts = vec![call.path, ": ", why.explain()];
    if let Some(detail) = detail {
        parts.extend([" (", detail, ")"]);
    }
    let times = format!(", tried {attempts} times");
    if attempts > 1 {
        parts.push(&times);
    }
    parts.push(".");
    // Every call has this argument, so the account is wrong, not the call.
    let foreign = detail.is_some_and(|detail| detail.contains("Path: .accountId")).then_some(FOREIGN_ACCOUNT);
    for more in foreign.or_else(|| why.remedy()).into_iter().chain(class.remark()) {
        parts.extend([" ", more]);
    }
    parts.concat()
}

impl CallClass {
    /// What the reader must know in addition to the reason.
    fn remark(self) -> Option<&'static str> {
        match self {
            Self::Ambiguous => {
                Some("The call may have taken effect: its result is looked up before it is repeated.")
            }
            Self::Transient | Self::Refused | Self::Gone => None,
        }
    }
}

/// Replaces control characters, which must not appear in a log line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether a failed function of this kind may have had effects. A query writes nothing, and a mutation is
/// rolled back. An action may have committed parts, and a system error inside it looks like the action's own error.
pub(super) fn rolled_back(kind: FunctionKind) -> Ran {
    match kind {
        FunctionKind::Query | FunctionKind::Mutation => Ran::No,
        FunctionKind::Action => Ran::Maybe,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn the_class_follows_from_the_facts_and_the_call() {
        use CallClass::{Ambiguous, Gone, Refused, Transient};
        // outlook, ran, class of an unsafe action, class of a safe one
        let rows = [
            (Outlook::Passes, Ran::No, Transient, Transient),
            (Outlook::Passes, Ran::Maybe, Ambiguous, Transient),
            (Outlook::Passes, Ran::Yes, Ambiguous, Transient),
            (Outlook::PassesLater, Ran::No, Transient, Transient),
            (Outlook::PassesLater, Ran::Maybe, Ambiguous, Transient),
            (Outlook::Stays, Ran::No, Refused, Refused),
            (Outlook::Stays, Ran::Maybe, Ambiguous, Refused),
            (Outlook::Stays, Ran::Yes, Ambiguous, Refused),
            (Outlook::SaidNo, Ran::Maybe, Refused, Refused),
            (Outlook::SaidGone, Ran::Maybe, Gone, Gone),
        ];
        let args = RawValue::from_string("{}".to_owned()).unwrap();
        for (outlook, ran, class_unsafe, class_safe) in rows {
            for (may_repeat, kind, class) in [
                (false, FunctionKind::Action, class_unsafe),
                (false, FunctionKind::Mutation, class_unsafe),
                (true, FunctionKind::Action, class_safe),
                (true, FunctionKind::Mutation, class_safe),
                (false, FunctionKind::Query, class_safe),
            ] {
                let call = Call { kind, path: "a:b", args: &args, deadline: Duration::ZERO, may_repeat };
                let finding = Finding::new(CallReason::LostAnswer, ran, outlook);
                assert_eq!(finding.class(&call), class, "{outlook:?} {ran:?} {kind:?} {may_repeat}");
                let repeats = class == Transient && outlook == Outlook::Passes;
                assert_eq!(
                    finding.may_be_repeated(&call),
                    repeats,
                    "{outlook:?} {ran:?} {kind:?} {may_repeat}"
                );
            }
        }
    }

    #[test]
    fn a_refused_account_names_its_remedy() {
        let args = RawValue::from_string("{}".to_owned()).unwrap();
        let kind = FunctionKind::Action;
        let call = Call { kind, path: "a:b", args: &args, deadline: Duration::ZERO, may_repeat: false };
        let text = |path: &str| {
            let detail = format!("Value does not match validator. Path: {path}");
            sentence(&call, CallClass::Refused, CallReason::Invalid, Some(&detail), 1)
        };
        assert!(text(".accountId").ends_with(FOREIGN_ACCOUNT), "{}", text(".accountId"));
        assert!(text(".taskId").ends_with("Path: .taskId)."), "{}", text(".taskId"));
    }
}
