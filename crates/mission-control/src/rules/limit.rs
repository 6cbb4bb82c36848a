//! Limits on the number of rows in an answer. Callers may send any number. The platform treats unusual ones
//! differently when it reads rows (`take`) and when it cuts a list (`slice`), and callers can see the difference
//! (backend-contract §2.21, §2.25).

use crate::Refusal;

/// Converts a limit for reading rows. It must be a whole number that is not negative; otherwise the platform's own
/// error is returned.
pub(crate) fn take(rows: f64) -> Result<usize, Refusal> {
    if rows.fract() == 0.0 && rows >= 0.0 {
        return Ok(whole(rows));
    }
    Err(Refusal::BadType("Arg 1 `n` to `take` must be a non-negative integer".to_owned()))
}

/// The first rows of a list, like JavaScript's `slice(0, end)`. A negative end counts from the back, a fraction is
/// cut off, and NaN counts as zero.
pub(crate) fn slice<T>(mut rows: Vec<T>, end: f64) -> Vec<T> {
    let end = end.trunc();
    #[expect(clippy::cast_precision_loss, reason = "no list is longer than 2^53")]
    let from_behind = rows.len() as f64 + end;
    rows.truncate(whole(if end < 0.0 { from_behind } else { end }));
    rows
}

/// The number as a count. Zero for negative numbers and NaN.
pub(crate) fn whole(number: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as is wanted")]
    let count = number as usize;
    count
}

/// `max(low, min(high, number))` in JavaScript, which returns NaN unchanged.
pub(crate) fn clamp(number: f64, low: f64, high: f64) -> f64 {
    at_most(number, high).clamp(low, high)
}

/// `min(number, high)` in JavaScript, which returns NaN unchanged.
pub(crate) fn at_most(number: f64, high: f64) -> f64 {
    if number > high { high } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_by_whole_numbers_only() {
        let rows = [
            (0.0, Some(0)),
            (-0.0, Some(0)),
            (7.0, Some(7)),
            (-1.0, None),
            (0.5, None),
            (f64::NAN, None),
            (f64::NEG_INFINITY, None),
        ];
        for (number, expected) in rows {
            assert_eq!(take(number).ok(), expected, "{number}");
        }
    }

    #[test]
    fn lists_are_cut_as_javascript_cuts_them() {
        let rows = [
            (0.0, 0),
            (2.0, 2),
            (2.9, 2),
            (9.0, 4),
            (-1.0, 3),
            (-1.9, 3),
            (-0.5, 0),
            (-9.0, 0),
            (f64::INFINITY, 4),
            (f64::NEG_INFINITY, 0),
            (f64::NAN, 0),
        ];
        for (end, expected) in rows {
            assert_eq!(slice(vec!['a', 'b', 'c', 'd'], end).len(), expected, "{end}");
        }
        assert!(clamp(f64::NAN, 1.0, 200.0).is_nan());
        assert!((clamp(f64::INFINITY, 1.0, 200.0) - 200.0).abs() < f64::EPSILON);
    }
}
