//! The headers of a tar archive: ustar, with a pax record for a path that the header cannot hold.
//!
//! Archives of other programs are read as well: GNU tar writes long paths as members of type `L`. Only files and folders
//! are accepted. A link or a device in an archive refuses the whole: with a link, a later member could be written outside
//! of the folder.

use super::{STATE_ROOT, WORKSPACE_ROOT};

/// The unit of an archive.
pub const BLOCK: usize = 512;

/// The longest body with a path.
pub const PATH_BODY_MAX: u64 = 64 * 1024;

/// The longest path, and its most parts.
const PATH_BYTES_MAX: usize = 4_000;
const PARTS_MAX: usize = 64;

/// The longest name of a file or folder on most disks.
const NAME_BYTES_MAX: usize = 255;

/// The largest size that the eleven digits of a header can hold.
pub const MEMBER_BYTES_MAX: u64 = 0o77_777_777_777;

/// The places of the fields in a header.
const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const SIZE: std::ops::Range<usize> = 124..136;
const MODIFIED: std::ops::Range<usize> = 136..148;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const TYPE: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..263;
const PREFIX: std::ops::Range<usize> = 345..500;

/// A file or a folder of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarMember {
    /// Its path, with slashes.
    pub path: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Its permissions.
    pub mode: u32,
    /// Its size.
    pub bytes: u64,
    /// When it was written, in seconds since 1970.
    pub modified_s: u64,
}

/// What a header announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TarHeader {
    /// A block of zeros: the archive ends.
    End,
    /// A file or a folder. Its path may be replaced by that of an earlier [`PathFollows`](Self::PathFollows).
    Member(TarMember),
    /// A body of this size with the path of the next member.
    PathFollows {
        /// The size of the body.
        bytes: u64,
        /// Whether the body has pax records, or the bare path.
        is_pax: bool,
    },
    /// A body of this size that says nothing about a single member.
    Ignored {
        /// The size of the body.
        bytes: u64,
    },
}

/// The blocks of zeros at the end of an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The bytes after a body of this size, up to the next block.
pub fn padding(bytes: u64) -> usize {
    // Below 512, so it fits.
    usize::try_from((BLOCK as u64 - bytes % BLOCK as u64) % BLOCK as u64).unwrap_or(0)
}

impl TarMember {
    /// The header, with a record in front if the path is long.
    pub fn header(&self) -> Vec<u8> {
        let mut blocks = Vec::with_capacity(BLOCK);
        let path = if self.is_folder { format!("{}/", self.path) } else { self.path.clone() };
        if path.len() > NAME.len() || !path.is_ascii() {
            let record = pax_record("path", &path);
            blocks.extend(header(b"pax-path", b'x', record.len() as u64, 0o600, self.modified_s));
            blocks.extend(record.as_bytes());
            blocks.resize(blocks.len() + padding(record.len() as u64), 0);
        }
        let kind = if self.is_folder { b'5' } else { b'0' };
        let bytes = if self.is_folder { 0 } else { self.bytes };
        blocks.extend(header(path.as_bytes(), kind, bytes, self.mode & 0o777, self.modified_s));
        blocks
    }
}

/// `LENGTH KEY=VALUE` and a line end, where the length counts itself.
fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

fn header(path: &[u8], kind: u8, bytes: u64, mode: u32, modified_s: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |place: std::ops::Range<usize>, content: &[u8]| {
        let length = content.len().min(place.len());
        block[place.start..place.start + length].copy_from_slice(&content[..length]);
    };
    put(NAME, path);
    put(MODE, format!("{mode:07o}").as_bytes());
    put(108..116, b"0000000");
    put(116..124, b"0000000");
    put(SIZE, format!("{bytes:011o}").as_bytes());
    put(MODIFIED, format!("{:011o}", modified_s.min(MEMBER_BYTES_MAX)).as_bytes());
    put(CHECKSUM, b"        ");
    put(TYPE..TYPE + 1, &[kind]);
    put(MAGIC.start..MAGIC.end + 2, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Reads a header. The error is a sentence without the final full stop.
pub fn read_header(block: &[u8; BLOCK]) -> Result<TarHeader, String> {
    if block.iter().all(|byte| *byte == 0) {
        return Ok(TarHeader::End);
    }
    let is_field = |at: usize| CHECKSUM.contains(&at);
    let sum: u64 =
        block.iter().enumerate().map(|(at, byte)| u64::from(if is_field(at) { b' ' } else { *byte })).sum();
    if octal(&block[CHECKSUM]) != Some(sum) {
        return Err("A header of the archive is damaged".to_owned());
    }
    let not_read = |what: &str| format!("The {what} of a member of the archive cannot be read");
    let bytes = octal(&block[SIZE]).ok_or_else(|| not_read("size"))?;
    let kind = block[TYPE];
    match kind {
        b'x' | b'L' => return Ok(TarHeader::PathFollows { bytes, is_pax: kind == b'x' }),
        // Records for all members, and the long target of a link that is refused itself.
        b'g' | b'K' => return Ok(TarHeader::Ignored { bytes }),
        _ => {}
    }
    let text = |place: std::ops::Range<usize>| {
        let field = &block[place];
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        // A name that is not UTF-8 is refused, unless a record replaces it.
        String::from_utf8_lossy(&field[..end]).into_owned()
    };
    // GNU tar uses these bytes for times.
    let prefix = if &block[MAGIC] == b"ustar\0" { text(PREFIX) } else { String::new() };
    let name = text(NAME);
    let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
    let is_folder = match kind {
        b'0' | 0 | b'7' => path.ends_with('/'),
        b'5' => true,
        b'1' | b'2' => return Err(format!("`{path}` is a link, and links are not restored")),
        _ => return Err(format!("`{path}` is neither a file nor a folder")),
    };
    if is_folder && bytes != 0 {
        return Err(format!("The folder `{path}` has a content"));
    }
    Ok(TarHeader::Member(TarMember {
        path,
        is_folder,
        mode: octal(&block[MODE]).and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o600) & 0o777,
        bytes,
        modified_s: octal(&block[MODIFIED]).unwrap_or(0),
    }))
}

/// The number in a field of octal digits. Larger numbers in binary form are not accepted.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// The path in a body after [`TarHeader::PathFollows`]. None if the records have no path.
pub fn read_path(body: &[u8], is_pax: bool) -> Result<Option<String>, String> {
    let unreadable = || "A path in the archive cannot be read".to_owned();
    if !is_pax {
        let end = body.iter().position(|byte| *byte == 0).unwrap_or(body.len());
        return String::from_utf8(body[..end].to_vec()).map(Some).map_err(|_| unreadable());
    }
    let mut rest = body;
    let mut path = None;
    while !rest.is_empty() {
        let space = rest.iter().position(|byte| *byte == b' ').ok_or_else(unreadable)?;
        let length = std::str::from_utf8(&rest[..space]).ok().and_then(|digits| digits.parse::<usize>().ok());
        let length = length.filter(|length| *length > space + 1 && *length <= rest.len());
        let (record, more) = rest.split_at(length.ok_or_else(unreadable)?);
        let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(unreadable)?;
        if let Some(value) = record.strip_prefix(b"path=") {
            path = Some(String::from_utf8(value.to_vec()).map_err(|_| unreadable())?);
        } else if record.starts_with(b"size=") || record.starts_with(b"GNU.sparse") {
            return Err("The archive has a member of a form that is not known".to_owned());
        }
        rest = more;
    }
    Ok(path)
}

/// The path of a member, relative to the data folder: one spelling, inside of one of the two folders. `None` for the
/// data folder itself. The error is a sentence without the final full stop.
pub fn member_path(path: &str) -> Result<Option<String>, String> {
    let shown = || path.chars().take(100).collect::<String>();
    if path.starts_with('/') {
        return Err(format!("The path `{}` is absolute", shown()));
    }
    let mut rest = path;
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter;
    }
    let rest = rest.trim_end_matches('/');
    if matches!(rest, "" | ".") {
        return Ok(None);
    }
    let parts: Vec<&str> = rest.split('/').collect();
    if let Some(part) = parts.iter().find(|part| matches!(**part, "" | "." | "..")) {
        return Err(format!("The path `{}` has the part `{part}`", shown()));
    }
    let is_long = parts.iter().any(|part| part.len() > NAME_BYTES_MAX);
    if rest.len() > PATH_BYTES_MAX || parts.len() > PARTS_MAX || is_long {
        return Err(format!("The path `{}…` is too long", shown()));
    }
    if rest.contains('\0') || rest.contains('\u{fffd}') {
        return Err(format!("The path `{}` is not valid text", shown()));
    }
    if ![STATE_ROOT, WORKSPACE_ROOT].contains(&parts[0]) {
        return Err(format!("The path `{}` is not in `{STATE_ROOT}` or `{WORKSPACE_ROOT}`", shown()));
    }
    Ok(Some(rest.to_owned()))
}

#[cfg(test)]
mod tests;
