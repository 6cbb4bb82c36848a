//! Headers in both directions, and what is refused.

use super::*;

fn member(path: &str) -> TarMember {
    TarMember { path: path.to_owned(), is_folder: false, mode: 0o640, bytes: 700, modified_s: 1_700_000_000 }
}

/// The last block of a header, after a change of it. The checksum follows the change.
fn changed(member: &TarMember, change: impl Fn(&mut [u8; BLOCK])) -> [u8; BLOCK] {
    let blocks = member.header();
    let mut block: [u8; BLOCK] = blocks[blocks.len() - BLOCK..].try_into().unwrap();
    change(&mut block);
    block[CHECKSUM].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn read_back(member: &TarMember) -> TarMember {
    let blocks = member.header();
    assert_eq!(blocks.len() % BLOCK, 0);
    let (mut at, mut path) = (0, None);
    loop {
        let block = blocks[at..at + BLOCK].try_into().unwrap();
        at += BLOCK;
        match read_header(block).unwrap() {
            TarHeader::PathFollows { bytes, is_pax } => {
                let length = usize::try_from(bytes).unwrap();
                path = read_path(&blocks[at..at + length], is_pax).unwrap();
                at += length + padding(bytes);
            }
            TarHeader::Member(found) => {
                let path = path.unwrap_or(found.path);
                return TarMember { path: path.trim_end_matches('/').to_owned(), ..found };
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_member_is_read_as_it_was_written() {
    let long = format!("workspace/{}/notes.md", "é".repeat(100));
    for path in ["workspace/MEMORY.md", "workspace/ä.md", &long, &format!("workspace/{}", "x".repeat(90))] {
        assert_eq!(read_back(&member(path)), member(path));
        let folder = TarMember { is_folder: true, bytes: 0, mode: 0o755, ..member(path) };
        assert_eq!(read_back(&folder), folder);
    }
    // The length of a record counts its own digits.
    for length in 80..120 {
        let path = "y".repeat(length);
        assert_eq!(read_back(&member(&path)).path, path);
    }
}

#[test]
fn links_devices_and_damage_are_refused() {
    for (kind, words) in
        [(b'1', "is a link"), (b'2', "is a link"), (b'3', "neither"), (b'6', "neither"), (b'S', "neither")]
    {
        let block = changed(&member("workspace/x"), |block| block[TYPE] = kind);
        assert!(read_header(&block).unwrap_err().contains(words), "{kind}");
    }
    let mut block = changed(&member("workspace/x"), |_| {});
    block[0] ^= 1;
    assert!(read_header(&block).unwrap_err().contains("damaged"));
    let binary = changed(&member("workspace/x"), |block| block[SIZE.start] = 0x80);
    assert!(read_header(&binary).unwrap_err().contains("size"));
    for body in [&b"path=x\n"[..], b"99 path=x\n", b"10 path=x", b"2 ", b"11 path=\xff\xff\n"] {
        assert!(read_path(body, true).is_err(), "{body:?}");
    }
    assert!(read_path(b"12 size=100\n", true).is_err(), "another size than the header's is not supported");
    assert_eq!(read_path(b"20 comment=anything\n", true).unwrap(), None);
    assert_eq!(read_path(b"workspace/long\0", false).unwrap().as_deref(), Some("workspace/long"));
}

#[test]
fn the_prefix_of_a_header_is_a_part_of_its_path() {
    let block = changed(&member("notes.md"), |block| {
        block[PREFIX.start..PREFIX.start + 9].copy_from_slice(b"workspace");
    });
    let TarHeader::Member(found) = read_header(&block).unwrap() else { panic!() };
    assert_eq!(found.path, "workspace/notes.md");
    assert_eq!(read_header(&[0; BLOCK]).unwrap(), TarHeader::End);
}

/// worker-pool B.9: the archive holds `.clawdbot` and `workspace`, relative to the data folder.
#[test]
fn a_path_stays_in_the_two_folders() {
    let rows = [
        ("workspace/a", Some(Some("workspace/a"))),
        ("./workspace/a/", Some(Some("workspace/a"))),
        ("././.clawdbot", Some(Some(".clawdbot"))),
        (".", Some(None)),
        ("./", Some(None)),
        ("/workspace/a", None),
        ("//workspace/a", None),
        ("../workspace", None),
        ("workspace/../../etc/passwd", None),
        ("workspace/..", None),
        ("workspace//a", None),
        ("workspace/./a", None),
        ("etc/passwd", None),
        ("workspaces/a", None),
        ("workspace/\u{fffd}", None),
    ];
    for (path, expected) in rows {
        let found = member_path(path).ok();
        assert_eq!(found.as_ref().map(Option::as_deref), expected, "{path:?}");
    }
    assert!(member_path(&format!("workspace/{}", "x".repeat(256))).is_err());
    assert!(member_path(&format!("workspace{}", "/x".repeat(64))).is_err());
}
