//! Names and tags of machines. They follow from the account and the attempt, so that a machine is found again after a lost
//! answer and after a crash.

use std::fmt::Write as _;

/// The longest prefix.
const PREFIX_CHARS_MAX: usize = 40;

/// The longest account id: its escaped form must fit into a name.
const ACCOUNT_BYTES_MAX: usize = 64;

/// Names and tags with one prefix. Two control planes that share an account at a provider need different prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming(String);

impl Naming {
    /// Reads a prefix: lower-case letters, digits and hyphens, with a letter first and no hyphen last.
    pub fn parse(prefix: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = prefix.len() <= PREFIX_CHARS_MAX
            && prefix.starts_with(|c: char| c.is_ascii_lowercase())
            && !prefix.ends_with('-')
            && prefix.chars().all(is_plain);
        fits.then(|| Self(prefix.to_owned()))
    }

    /// The tag of all machines.
    pub fn tag(&self) -> &str {
        &self.0
    }

    /// The name of the firewall of all machines.
    pub fn firewall(&self) -> &str {
        &self.0
    }

    /// The tag of the machines of an account. `None` if the account's id is too long or empty.
    pub fn account_tag(&self, account: &str) -> Option<String> {
        let fits = (1..=ACCOUNT_BYTES_MAX).contains(&account.len());
        fits.then(|| format!("{}:account:{}", self.0, escaped(account)))
    }

    /// The account of a tag that [`account_tag`](Self::account_tag) made.
    pub fn account_of(&self, tag: &str) -> Option<String> {
        let account = unescaped(tag.strip_prefix(&self.0)?.strip_prefix(":account:")?)?;
        // Another spelling of the tag is not ours.
        (self.account_tag(&account)? == tag).then_some(account)
    }

    /// The name of the machine of an attempt.
    pub fn machine(&self, account: &str, attempt: u32) -> String {
        format!("{}-{}-{attempt}", self.0, escaped(account))
    }
}

/// Providers compare names without regard to case, and allow few characters. So all but lower-case letters and digits are
/// written as a hyphen and two hexadecimal digits.
fn escaped(account: &str) -> String {
    let mut text = String::with_capacity(account.len());
    for byte in account.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() {
            text.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "-{byte:02x}");
        }
    }
    text
}

fn unescaped(text: &str) -> Option<String> {
    let (first, rest) = text.split_once('-').map_or((text, None), |(first, rest)| (first, Some(rest)));
    let mut bytes = first.as_bytes().to_vec();
    for part in rest.into_iter().flat_map(|rest| rest.split('-')) {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_its_account_and_no_two_accounts_share_one() {
        let naming = Naming::parse("mission-control").unwrap();
        let accounts =
            ["acc0unt", "Acc0unt", "a-b", "a_b", "a b", "-", "-2d", "2d", "ä", "a--", "x:account:y"];
        let mut seen = std::collections::BTreeSet::new();
        for account in accounts {
            let tag = naming.account_tag(account).unwrap();
            assert_eq!(naming.account_of(&tag).as_deref(), Some(account), "{tag}");
            assert!(seen.insert(tag.to_ascii_lowercase()), "{tag}");
            assert!(seen.insert(naming.machine(account, 1)), "{account}");
            let name = naming.machine(account, 1);
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
        }
        assert_eq!(naming.machine("acc0unt", 7), "mission-control-acc0unt-7");
        for tag in
            ["mission-control", "mission-control:account:A", "mission-control:account:-4", "other:account:a"]
        {
            assert_eq!(naming.account_of(tag), None, "{tag}");
        }
        assert_eq!((naming.account_tag(""), naming.account_tag(&"a".repeat(65))), (None, None));
    }

    #[test]
    fn a_prefix_is_plain() {
        for (prefix, is_one) in [
            ("mc", true),
            ("mc-eu", true),
            ("", false),
            ("-mc", false),
            ("mc-", false),
            ("Mc", false),
            ("a:b", false),
        ] {
            assert_eq!(Naming::parse(prefix).is_some(), is_one, "{prefix}");
        }
        assert!(Naming::parse(&"a".repeat(41)).is_none());
    }
}
