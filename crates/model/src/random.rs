//! Random values: the only source of randomness.

use std::fmt::Write as _;

/// A random number from 0 to 1.
pub fn unit() -> f64 {
    // If the system has no randomness, every random pause has half its length.
    drawn().map_or(0.5, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

/// Random bytes.
pub fn bytes<const BYTES: usize>() -> [u8; BYTES] {
    // If the system has no randomness, these are zeros: names may collide, but nothing else breaks.
    drawn().unwrap_or([0; BYTES])
}

/// Random bytes from the system, if it can provide them.
#[expect(clippy::disallowed_methods, reason = "the one source of random bytes")]
fn drawn<const BYTES: usize>() -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::getrandom(&mut bytes).is_ok().then_some(bytes)
}

/// Random lower-case hexadecimal digits, two per byte.
pub fn hex<const BYTES: usize>() -> String {
    bytes::<BYTES>().iter().fold(String::with_capacity(2 * BYTES), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_values_differ_and_stay_in_range() {
        assert!((0.0..=1.0).contains(&unit()));
        let (one, other) = (hex::<8>(), hex::<8>());
        assert!(one.len() == 16 && one != other, "{one}");
    }
}
