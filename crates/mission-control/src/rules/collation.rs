//! The order of names for people's eyes: case and accents do not count (backend-contract §9). As much of the Unicode
//! collation as slugs and European names need.

/// What to sort a name by.
pub(crate) fn key(name: &str) -> Vec<(Class, char)> {
    let letters = name.chars().flat_map(char::to_lowercase).filter(|c| !is_accent(*c)).map(plain);
    letters.map(|c| (class(c), c)).collect()
}

/// Blanks stand before signs, signs before digits, digits before letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Blank,
    Underscore,
    Hyphen,
    Sign,
    Digit,
    Letter,
}

fn class(c: char) -> Class {
    match c {
        '_' => Class::Underscore,
        '-' => Class::Hyphen,
        c if c.is_whitespace() => Class::Blank,
        c if c.is_numeric() => Class::Digit,
        c if c.is_alphabetic() => Class::Letter,
        _ => Class::Sign,
    }
}

/// An accent that stands as a character of its own behind its letter.
fn is_accent(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// A small letter without its accent.
fn plain(c: char) -> char {
    match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'ď' => 'd',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => 'e',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ĥ' => 'h',
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' => 'i',
        'ĵ' => 'j',
        'ķ' => 'k',
        'ĺ' | 'ļ' | 'ľ' => 'l',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'ò'..='ö' | 'ō' | 'ŏ' | 'ő' => 'o',
        'ŕ' | 'ŗ' | 'ř' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' => 's',
        'ţ' | 'ť' => 't',
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => 'u',
        'ŵ' => 'w',
        'ý' | 'ÿ' | 'ŷ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        other => other,
    }
}
