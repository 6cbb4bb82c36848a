//! Random values: the only source of randomness.

use std::fmt::Write as _;

/// From 0 to 1.
pub fn unit() -> f64 {
    // Without the system's randomness all pauses are of half length.
    drawn().map_or(0.5, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

/// Bytes of any value.
pub fn bytes<const BYTES: usize>() -> [u8; BYTES] {
    // Without the system's randomness these are all zeros: names that collide, nothing else.
    drawn().unwrap_or([0; BYTES])
}

/// Bytes from the system, if it has any.
#[expect(clippy::disallowed_methods, reason = "the one source of random bytes")]
fn drawn<const BYTES: usize>() -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).is_ok().then_some(bytes)
}

/// Lower-case hexadecimal digits, two for each byte.
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
    fn chance_differs_and_stays_in_its_range() {
        assert!((0.0..=1.0).contains(&unit()));
        let (one, other) = (hex::<8>(), hex::<8>());
        assert!(one.len() == 16 && one != other, "{one}");
    }
}
