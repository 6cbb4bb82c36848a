//! Finds the mentions in a text (backend-contract §5.2). The functions are pure: people and agents are arguments.
//!
//! There are three steps. [`prepare`] removes quotes and code. [`candidates`] collects the texts behind each `@`.
//! [`MentionIndex`] compares each candidate with the names of the account.

use std::collections::{HashMap, HashSet};

use super::follow::Party;
use super::reach;
use crate::rows::{Agent, Membership, Mention};
use crate::store::Doc;

/// The mentions in a text, in their order. `@all` mentions all members and agents except the author. Authors who
/// mention themselves by name are included.
pub(crate) fn in_text(
    content: &str,
    author: &Party,
    members: &[Doc<Membership>],
    agents: &[Doc<Agent>],
) -> Vec<Mention> {
    let text = prepare(content);
    if names_all(&text) {
        let people = members.iter().map(|member| person(&member.row));
        let everybody = people.chain(agents.iter().map(|found| agent(found, &found.row.slug)));
        return everybody.filter(|mention| mention.id != author.id).collect();
    }
    let index = MentionIndex::of(members, agents);
    let mut seen = HashSet::new();
    let named = candidates(&text).into_iter().filter_map(|candidate| index.find(&candidate));
    named.filter(|mention| seen.insert((mention.kind.clone(), mention.id.clone()))).collect()
}

fn person(member: &Membership) -> Mention {
    Mention {
        kind: "user".to_owned(),
        id: member.user_id.clone(),
        name: member.user_name.clone(),
        slug: None,
    }
}

fn agent(agent: &Doc<Agent>, slug: &str) -> Mention {
    let name = agent.row.name.clone();
    Mention { kind: "agent".to_owned(), id: agent.id.to_string(), name, slug: Some(slug.to_owned()) }
}

/// The text without fenced blocks, then without inline code, then without quoted lines.
fn prepare(content: &str) -> String {
    let spoken = without_enclosed(&without_enclosed(content, "```"), "`");
    let quoted = |line: &&str| line.trim_start_matches(is_space).starts_with('>');
    spoken.split('\n').filter(|line| !quoted(line)).collect::<Vec<_>>().join("\n")
}

/// Removes the text between each mark and the next one, with both marks. A mark without a counterpart stays.
fn without_enclosed(text: &str, mark: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(mark) {
        let Some((_, after)) = behind.split_once(mark) else { break };
        kept.push_str(before);
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// Whether the text contains `@all` before a word boundary, at any position. `@all-hands` and `x@all.org` match, too.
fn names_all(text: &str) -> bool {
    let text = text.as_bytes();
    text.windows(4).enumerate().any(|(at, word)| {
        word.eq_ignore_ascii_case(b"@all") && !text.get(at + 4).copied().is_some_and(is_word_byte)
    })
}

/// The texts behind each `@`, trimmed, in lower case and without duplicates. Each is a text in double quotes or a
/// chunk of words.
fn candidates(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('@') {
        // Without a token, the scan continues directly behind the `@`.
        let (token, after) = quoted(behind).or_else(|| chunk(behind)).unwrap_or(("", behind));
        rest = after;
        let candidate = token.trim_matches(is_space).to_lowercase();
        if !candidate.is_empty() && seen.insert(candidate.clone()) {
            found.push(candidate);
        }
    }
    found
}

/// `"([^"]+)"`: the text inside the quotes, and the rest.
fn quoted(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('"')?.split_once('"').filter(|(inside, _)| !inside.is_empty())
}

/// `\w+([\s-]\w+)*`: the longest run of words with a single blank or hyphen between them, and the rest.
fn chunk(text: &str) -> Option<(&str, &str)> {
    let mut end = word_len(text);
    if end == 0 {
        return None;
    }
    while let Some(joint) = text[end..].chars().next().filter(|c| *c == '-' || is_space(*c)) {
        let next = end + joint.len_utf8();
        match word_len(&text[next..]) {
            0 => break,
            len => end = next + len,
        }
    }
    Some(text.split_at(end))
}

fn word_len(text: &str) -> usize {
    text.bytes().take_while(|byte| is_word_byte(*byte)).count()
}

/// JavaScript's `\w`, which only matches ASCII.
fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// JavaScript's `\s`, which is also what its `trim` removes. It includes the byte order mark, but not the "next line"
/// character.
pub(crate) fn is_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

/// Names in lower case. If two are equal, the later one wins.
struct MentionNames<V> {
    by_name: HashMap<String, V>,
    /// The lengths of the names in bytes, without duplicates, the longest first.
    lengths: Vec<usize>,
}

impl<V: Copy> MentionNames<V> {
    fn new(named: impl IntoIterator<Item = V>, name: impl Fn(V) -> String) -> Self {
        let by_name: HashMap<String, V> = named.into_iter().map(|one| (name(one), one)).collect();
        let mut lengths: Vec<usize> = by_name.keys().map(String::len).collect();
        lengths.sort_unstable_by(|one, other| other.cmp(one));
        lengths.dedup();
        Self { by_name, lengths }
    }

    /// The value with exactly this name.
    fn exact(&self, candidate: &str) -> Option<V> {
        self.by_name.get(candidate).copied()
    }

    /// The value with the longest name that the candidate starts with, up to a space or a new line. Only one prefix
    /// is looked up for each name length, so the cost is linear in the length of the text.
    fn longest_prefix(&self, candidate: &str) -> Option<V> {
        let ends = |length: &&usize| matches!(candidate.as_bytes().get(**length), Some(b' ' | b'\n'));
        self.lengths.iter().filter(ends).find_map(|length| self.exact(candidate.get(..*length)?))
    }
}

/// The names and slugs of people and agents.
struct MentionIndex<'a> {
    people: MentionNames<&'a Membership>,
    addresses: MentionNames<&'a Membership>,
    slugs: MentionNames<&'a Doc<Agent>>,
    names: MentionNames<&'a Doc<Agent>>,
    qa: Option<&'a Doc<Agent>>,
}

impl<'a> MentionIndex<'a> {
    fn of(members: &'a [Doc<Membership>], agents: &'a [Doc<Agent>]) -> Self {
        let local_part =
            |member: &Membership| member.user_email.split('@').next().unwrap_or_default().to_lowercase();
        let people = || members.iter().map(|member| &member.row);
        let reviewers = || agents.iter().filter(|agent| reach::is_qa(&agent.row));
        Self {
            people: MentionNames::new(people(), |member| member.user_name.to_lowercase()),
            addresses: MentionNames::new(people(), local_part),
            slugs: MentionNames::new(agents, |agent| agent.row.slug.to_lowercase()),
            names: MentionNames::new(agents, |agent| agent.row.name.to_lowercase()),
            qa: reviewers()
                .find(|agent| agent.row.slug.eq_ignore_ascii_case("qa"))
                .or_else(|| reviewers().next()),
        }
    }

    /// The first match in the order of §5.2: an exact name, then the longest name that the candidate starts with.
    fn find(&self, candidate: &str) -> Option<Mention> {
        let person_by_name = || self.people.exact(candidate).or_else(|| self.addresses.exact(candidate));
        let agent_by_name = || self.slugs.exact(candidate).or_else(|| self.names.exact(candidate));
        let qa = || self.qa.filter(|_| candidate == "qa");
        let agent_by_prefix =
            || self.slugs.longest_prefix(candidate).or_else(|| self.names.longest_prefix(candidate));
        let by_slug = |found: &Doc<Agent>| agent(found, &found.row.slug);
        (person_by_name().map(person))
            .or_else(|| agent_by_name().map(by_slug))
            .or_else(|| qa().map(|found| agent(found, "qa")))
            .or_else(|| self.people.longest_prefix(candidate).map(person))
            .or_else(|| agent_by_prefix().map(by_slug))
    }
}
