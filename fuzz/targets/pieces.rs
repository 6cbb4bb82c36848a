//! Splits input into pieces of any size, as a network does. All random choices derive from the input itself, so an input
//! alone reproduces a finding.

use crate::dice::Dice;

/// Dice seeded with these bytes.
pub(crate) fn dice_of(bytes: &[u8]) -> Dice {
    let fold = |seed: u64, byte: &u8| (seed ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    Dice(bytes.iter().fold(0xCBF2_9CE4_8422_2325, fold))
}

/// The bytes in pieces: a few, or for every other short input one per byte.
pub(crate) fn cut<'a>(bytes: &'a [u8], dice: &mut Dice) -> Vec<&'a [u8]> {
    if bytes.len() <= 512 && dice.roll(2) == 0 {
        return bytes.chunks(1).collect();
    }
    let mut pieces = Vec::new();
    let mut rest = bytes;
    let longest = 1 + dice.index(bytes.len().max(1));
    while !rest.is_empty() {
        // More pieces show nothing new and cost time.
        let at = if pieces.len() < 32 { (1 + dice.index(longest)).min(rest.len()) } else { rest.len() };
        let (piece, more) = rest.split_at(at);
        pieces.push(piece);
        rest = more;
    }
    pieces
}
