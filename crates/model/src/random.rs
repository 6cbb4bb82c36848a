//! Random values: the only source of randomness.

use std::fmt::Write as _;

/// A random number from 0 to 1.
pub fn unit() -> f64 {
    let mut bytes = [0; 4];
    // If the system has no randomness, every random pause has half its length.
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// Random bytes.
pub fn bytes<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    // If the system has no randomness, these are zeros: names may collide, but nothing else breaks.
    let _ = getrandom::fill(&mut bytes);
    bytes
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
