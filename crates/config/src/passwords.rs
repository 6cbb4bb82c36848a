//! Finds passwords in URLs, so that they are redacted: in the variables of proxies, which the table does not contain, and
//! in our own URLs, where a password is an error but still a secret.

use super::table::TABLE;
use super::variable::Kind;

/// The variables that name a proxy, in either case.
const PROXIES: [&str; 3] = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"];

/// The passwords in the URLs among these variables, as written and percent-decoded.
pub(super) fn passwords<'a>(given: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<String> {
    let addresses = given.into_iter().filter(|(name, _)| is_address(name));
    addresses
        .filter_map(|(_, address)| password(address))
        .flat_map(|text| [decoded(text), text.to_owned()])
        .collect()
}

fn is_address(name: &str) -> bool {
    let ours = TABLE.iter().filter(|variable| matches!(variable.kind, Kind::Url { .. }));
    let mut ours = ours.flat_map(|variable| variable.spellings());
    PROXIES.iter().any(|proxy| name.eq_ignore_ascii_case(proxy)) || ours.any(|known| known == name)
}

/// The part between the user and the host. If there is only a user, it is returned: some proxies take a key there.
fn password(address: &str) -> Option<&str> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    // A password may contain an @ that is not written as %40.
    let (user, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
    Some(user.split_once(':').map_or(user, |(_, password)| password))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let byte = digit(0).zip(digit(1)).filter(|_| *first == b'%');
        let byte = byte.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_password_of_a_url() {
        let rows: [(&str, &str, &[&str]); 11] = [
            ("HTTPS_PROXY", "http://robin:s3cret@proxy:3128", &["s3cret", "s3cret"]),
            ("https_proxy", "robin:s3cret@proxy:3128/", &["s3cret", "s3cret"]),
            ("ALL_PROXY", "socks5://robin:s%40cr%2Ft@proxy", &["s@cr/t", "s%40cr%2Ft"]),
            ("HTTP_PROXY", "http://robin:s@cret@proxy", &["s@cret", "s@cret"]),
            ("CONVEX_URL", "robin:s3cret@host", &["s3cret", "s3cret"]),
            ("OPENCLAW_GATEWAY_URL", "http://host/a@b?c@d", &[]),
            ("DROPLET_ID", "robin:s3cret@host", &[]),
            ("HTTP_PROXY", "http://a-key@proxy", &["a-key", "a-key"]),
            ("HTTP_PROXY", "http://proxy:3128", &[]),
            ("NO_PROXY", "robin:s3cret@proxy", &[]),
            ("HTTP_PROXY", "%zz:%@%", &["%", "%"]),
        ];
        for (name, address, expected) in rows {
            let given = (name.to_owned(), address.to_owned());
            assert_eq!(passwords([(&given.0, &given.1)]), expected, "{name}={address}");
        }
    }
}
