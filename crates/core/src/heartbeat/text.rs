//! Classifies the text of an event (worker-pool D.5). The gateway writes these texts. People and agents write
//! similar ones, so the patterns are strict and anchored at the beginning.

/// The longest id of a command.
const ID_CHARS: usize = 64;

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit<'a> {
    Code(&'a str),
    Signal,
}

/// The rest of the text after this beginning, compared without case.
fn after<'a>(text: &'a str, beginning: &str) -> Option<&'a str> {
    let head = text.get(..beginning.len())?;
    head.eq_ignore_ascii_case(beginning).then(|| &text[beginning.len()..])
}

/// `Exec finished: …` or `Exec finished (…`.
fn is_finished(text: &str) -> bool {
    after(text, "exec finished")
        .is_some_and(|rest| rest.starts_with(':') || rest.trim_start().starts_with('('))
}

/// `Exec completed (id, code 0) :: output`: the exit status and the output.
fn structured(text: &str) -> Option<(Exit<'_>, &str)> {
    let rest = after(text, "exec completed (").or_else(|| after(text, "exec failed ("))?;
    let (id, rest) = rest.split_once(", ")?;
    let of_id = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() || id.len() > ID_CHARS || !id.chars().all(of_id) {
        return None;
    }
    let (how, rest) = rest.split_once(')')?;
    let exit = if let Some(code) = after(how, "code ") {
        let digits = code.strip_prefix('-').unwrap_or(code);
        let sound = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        sound.then_some(Exit::Code(code))?
    } else {
        after(how, "signal ").filter(|name| !name.is_empty()).map(|_| Exit::Signal)?
    };
    let output = if rest.is_empty() { "" } else { rest.strip_prefix(" :: ")? };
    Some((exit, output))
}

/// Whether a command has finished.
pub fn is_exec_completion(text: &str) -> bool {
    let text = text.trim();
    is_finished(text) || structured(text).is_some()
}

/// Whether a command is still running or was denied: shown at the next heartbeat, without a wake.
pub fn is_exec_notice(text: &str) -> bool {
    let text = text.trim();
    ["exec running (", "exec denied ("].iter().any(|beginning| after(text, beginning).is_some())
}

/// Whether people may want to see it: a command that failed or wrote output.
pub fn is_relayable(text: &str) -> bool {
    let text = text.trim();
    let tells = |(exit, output): (Exit<'_>, &str)| {
        let well =
            matches!(exit, Exit::Code(code) if code.trim_start_matches('-').bytes().all(|b| b == b'0'));
        !well || !output.trim().is_empty()
    };
    is_finished(text) || structured(text).is_some_and(tells)
}

/// Whether it is a reminder of a schedule: neither a finished command nor heartbeat noise.
pub fn is_cron_event(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && !is_exec_completion(text) && !is_beat_noise(&text.to_ascii_lowercase())
}

fn is_beat_noise(lower: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let ok = lower.strip_prefix("heartbeat_ok").is_some_and(|rest| !rest.starts_with(word));
    ok || lower.contains("heartbeat poll") || lower.contains("heartbeat wake")
}
