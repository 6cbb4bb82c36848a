//! Rows of a ledger as another version would have written them.

use std::path::Path;

use ring::digest::{SHA256, digest};

/// Changes a record in the ledger in this directory as another version would, with the right checksum.
pub(crate) fn forge(place: &Path, id: &str, change: impl Fn(&mut serde_json::Value)) {
    forge_text(place, id, 4, change);
}

/// Changes the work that a record belongs to as another version would, with the right checksum.
pub(crate) fn forge_work(place: &Path, id: &str, change: impl Fn(&mut serde_json::Value)) {
    forge_text(place, id, 3, change);
}

/// Changes the steps of a delivery as another version would, with the right checksum.
pub(crate) fn forge_story(place: &Path, id: &str, change: impl Fn(&mut serde_json::Value)) {
    forge_text(place, id, 5, change);
}

/// Changes one of the selected texts.
fn forge_text(place: &Path, id: &str, text: usize, change: impl Fn(&mut serde_json::Value)) {
    let database = rusqlite::Connection::open(place.join("ledger.sqlite")).unwrap();
    let select = "SELECT number, id, account, agent, row, record, story, task, ended, written, first_seen, not_before, closed \
                  FROM deliveries WHERE id = ?";
    let (mut texts, optional, numbers, at) = database
        .query_row(select, [id], |row| {
            let texts: Vec<String> = (1..7).map(|column| row.get(column)).collect::<Result<_, _>>()?;
            let optional: Vec<Option<String>> =
                (7..9).map(|column| row.get(column)).collect::<Result<_, _>>()?;
            let numbers: Vec<Option<i64>> =
                [0, 9, 10, 11, 12].map(|column| row.get(column)).into_iter().collect::<Result<_, _>>()?;
            Ok((texts, optional, numbers, row.get::<_, i64>(0)?))
        })
        .unwrap();
    let mut value = serde_json::from_str(&texts[text]).unwrap();
    change(&mut value);
    texts[text] = value.to_string();
    let mut bytes = Vec::new();
    let mut add = |part: Option<&[u8]>| {
        bytes.extend(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        bytes.extend(part.unwrap_or_default());
    };
    for text in &texts {
        add(Some(text.as_bytes()));
    }
    for text in &optional {
        add(text.as_deref().map(str::as_bytes));
    }
    for number in &numbers {
        add(number.map(i64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }
    let digest = digest(&SHA256, &bytes);
    let sum = digest.as_ref().iter().take(8).fold(0, |sum: i64, byte| sum << 8 | i64::from(*byte));
    database
        .execute(
            "UPDATE deliveries SET row = ?, record = ?, story = ?, sum = ? WHERE number = ?",
            rusqlite::params![texts[3], texts[4], texts[5], sum, at],
        )
        .unwrap();
}
