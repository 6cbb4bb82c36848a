//! Ids that are unique within one gateway and reproducible for the same seed.

use std::sync::atomic::{AtomicU64, Ordering};

/// A source of ids.
pub(super) struct Ids {
    seed: u64,
    issued: AtomicU64,
}

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, issued: AtomicU64::new(0) }
    }

    /// The next id.
    pub(super) fn next(&self) -> u128 {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let high = mixed(self.seed ^ mixed(number));
        u128::from(high) << 64 | u128::from(mixed(high ^ number))
    }

    /// A kind with an id, such as `resp_…` or `msg_…`.
    pub(super) fn named(&self, kind: &str) -> String {
        format!("{kind}_{}", uuid(self.next()))
    }

    /// A call id of nine hex digits.
    pub(super) fn call(&self) -> String {
        let text = format!("{:032x}", self.next());
        text[..9].to_owned()
    }
}

/// Formats the id as a random UUID.
pub(super) fn uuid(id: u128) -> String {
    let id = id & !(0xf << 76) & !(0xc << 60) | 0x4 << 76 | 0x8 << 60;
    let hex = format!("{id:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The finalizer of `SplitMix64`: neighbouring numbers diverge, and no two results are equal.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
