//! The sort order of names for people: case and accents are ignored (backend-contract §9). This is the part of the
//! Unicode collation that slugs and European names need.

/// The sort key of a name.
pub(crate) fn key(name: &str) -> Vec<(Class, char)> {
    let letters = name.chars().flat_map(char::to_lowercase).filter(|c| !is_accent(*c)).map(base_letter);
    letters.map(|c| (class(c), c)).collect()
}

/// The sort order of character classes: blanks, signs, digits, letters.
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

/// Whether the character is a combining accent, which follows its letter.
fn is_accent(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// The lower-case letter without its accent.
fn base_letter(c: char) -> char {
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
