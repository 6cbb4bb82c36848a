//! Random values: the only source of randomness.

use std::fmt::Write as _;

/// From 0 to 1.
pub fn unit() -> f64 {
    let mut bytes = [0; 4];
    // Without the system's randomness all pauses are of half length.
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// Bytes of any value.
pub fn bytes<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    // Without the system's randomness these are all zeros: names that collide, nothing else.
    let _ = getrandom::fill(&mut bytes);
    bytes
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
