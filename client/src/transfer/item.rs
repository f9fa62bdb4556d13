//! One thing to copy, and the names that follow from where it comes from and goes to. Pure.

use bytes::Bytes;
use cmdop_proto::v1;

/// Permission bits without set-id bits.
const PLAIN: u32 = 0o777;

/// And with them.
const ALL: u32 = 0o7777;

/// A file or link that is to be copied.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Where it stands in the source.
    pub(crate) order: u64,
    /// Its path at the source.
    pub(crate) from: Bytes,
    /// Its path at the target.
    pub(crate) to: Bytes,
    pub(crate) entry: v1::FileEntry,
}

/// What a worker does at once.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "few exist at a time")]
pub(crate) enum Work {
    /// A file that goes in chunks.
    One(Item),
    /// Small files and links.
    Batch(Vec<Item>),
}

impl Item {
    /// What names its temporary file: the same source in the same state, to the same target.
    pub(crate) fn key(&self, source: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [source.as_bytes(), &self.from, &self.to] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(&self.entry.size.to_le_bytes());
        hasher.update(&self.entry.mtime_ns.to_le_bytes());
        hasher.finalize().to_hex()[..16].to_owned()
    }

    /// The mode that its copy gets.
    pub(crate) fn mode(&self, all_modes: bool) -> u32 {
        mode(&self.entry, all_modes)
    }
}

/// The mode that the copy of an entry gets.
pub(crate) fn mode(entry: &v1::FileEntry, all_modes: bool) -> u32 {
    entry.mode & modes(all_modes)
}

/// The bits of a mode that are copied.
pub(crate) fn modes(all_modes: bool) -> u32 {
    if all_modes { ALL } else { PLAIN }
}

/// A path in a directory.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Bytes {
    if directory.is_empty() || name.is_empty() {
        return Bytes::from([directory, name].concat());
    }
    let slash: &[u8] = if directory.ends_with(b"/") { b"" } else { b"/" };
    Bytes::from([directory, slash, name].concat())
}

/// The last component of a path; `None`: it has none that names something new (`/`, `.`, `..`).
pub(crate) fn name(path: &[u8]) -> Option<&[u8]> {
    let end = path.iter().rposition(|byte| *byte != b'/')? + 1;
    let path = &path[..end];
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    (!matches!(name, b"" | b"." | b"..")).then_some(name)
}

/// The directory of a path as [`join`] makes it, without a slash at its end.
pub(crate) fn parent(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    let parent = &path[..slash.unwrap_or(0)];
    let end = parent
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(0, |end| end + 1);
    &parent[..end]
}

/// A directory as [`parent`] names it.
pub(crate) fn trimmed(directory: &[u8]) -> Bytes {
    let end = directory
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(0, |end| end + 1);
    Bytes::copy_from_slice(&directory[..end])
}

/// Whether a path from a listing stays where it belongs: a hostile machine could name `../x`.
pub(crate) fn is_inside(path: &[u8]) -> bool {
    !path.is_empty()
        && !path.contains(&0)
        && path
            .split(|byte| *byte == b'/')
            .all(|part| !matches!(part, b"" | b"." | b".."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_found_and_joined_as_a_person_means_them() {
        assert_eq!(name(b"/var/log/"), Some(&b"log"[..]));
        assert_eq!(name(b"log"), Some(&b"log"[..]));
        for none in [&b"/"[..], b"", b".", b"..", b"a/.."] {
            assert_eq!(name(none), None, "{none:?}");
        }
        assert_eq!(join(b"", b"a"), "a");
        assert_eq!(join(b"/", b"a"), "/a");
        assert_eq!(join(b"d/", b"a"), "d/a");
        assert_eq!(join(b"d", b"a"), "d/a");
    }

    #[test]
    fn a_listing_cannot_lead_out_of_the_target() {
        for bad in [
            &b"../x"[..],
            b"/etc/passwd",
            b"a/../../x",
            b"",
            b"a//b",
            b"a\0",
            b"./a",
        ] {
            assert!(!is_inside(bad), "{bad:?}");
        }
        assert!(is_inside(b"a/b") && is_inside(b"..a") && is_inside(b"\xff\xfe"));
    }

    proptest! {
        #[test]
        fn what_is_inside_stays_beneath_whatever_it_is_joined_to(path in proptest::collection::vec(any::<u8>(), 0..40)) {
            if is_inside(&path) {
                let joined = join(b"/target", &path);
                let mut depth = 0i32;
                for part in joined.split(|byte| *byte == b'/').skip(2) {
                    depth += if part == b".." { -1 } else { 1 };
                    prop_assert!(depth > 0);
                }
            }
        }

        #[test]
        fn the_parent_of_what_is_joined_is_what_it_was_joined_to(directory in "[a/]{0,5}") {
            let joined = join(directory.as_bytes(), b"name");
            prop_assert_eq!(parent(&joined), &trimmed(directory.as_bytes())[..]);
        }

        #[test]
        fn no_name_panics(path in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(name) = name(&path) {
                prop_assert!(!name.contains(&b'/') && !name.is_empty());
            }
        }
    }
}
