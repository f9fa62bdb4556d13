//! Paths as bytes: put together, taken apart, shown. Pure; what a path leads to is the other end's business.

use bytes::Bytes;
use cmdop_proto::text::is_hidden;

/// Longer ones no file system has.
const MAX_SHOWN: usize = 4096;

/// What is called `name` in `directory`.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Bytes {
    let slash: &[u8] = match directory {
        [] => b"",
        _ if directory.ends_with(b"/") => b"",
        _ => b"/",
    };
    Bytes::from([directory, slash, name].concat())
}

/// The directory that a path is in, and its name there; `None`: it is the top, or says nothing.
pub(crate) fn split(path: &[u8]) -> Option<(Bytes, Bytes)> {
    let end = path.iter().rposition(|byte| *byte != b'/')? + 1;
    let path = &path[..end];
    let start = path.iter().rposition(|byte| *byte == b'/')? + 1;
    let parent = match &path[..start - 1] {
        [] => b"/",
        parent => parent,
    };
    Some((
        Bytes::copy_from_slice(parent),
        Bytes::copy_from_slice(&path[start..]),
    ))
}

/// Whether a name of a listing names something in that directory: a hostile machine could say `../x`.
pub(crate) fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/') && !name.contains(&0)
}

/// What a person typed, as a path: absolute, from the home, or from the directory that is shown.
pub(crate) fn typed(text: &str, home: &[u8], directory: &[u8]) -> Bytes {
    let text = text.as_bytes();
    let path = match text {
        b"~" => Bytes::copy_from_slice(home),
        [b'~', b'/', rest @ ..] => join(home, rest),
        [b'/', ..] => Bytes::copy_from_slice(text),
        _ => join(directory, text),
    };
    plain(&path)
}

/// Without `.`, `..` and doubled slashes, as they are written; where links lead is not asked.
pub(crate) fn plain(path: &[u8]) -> Bytes {
    if !path.starts_with(b"/") {
        return Bytes::copy_from_slice(path);
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Bytes::from([b"/", parts.join(&b'/').as_slice()].concat())
}

/// A name or path as it is shown. What could steer the terminal, or hide what stands beside it, is a `?`; what
/// is no text is the sign that Unicode has for that.
pub(crate) fn shown(path: &[u8]) -> String {
    let path = &path[..path.len().min(MAX_SHOWN)];
    let text = String::from_utf8_lossy(path);
    text.chars()
        .map(|c| if is_hidden(c) { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_put_together_and_taken_apart() {
        assert_eq!(join(b"/", b"a"), "/a");
        assert_eq!(join(b"/a", b"b"), "/a/b");
        assert_eq!(join(b"", b"b"), "b");
        let parts = |path: &[u8]| split(path);
        assert_eq!(parts(b"/a/b"), Some(("/a".into(), "b".into())));
        assert_eq!(parts(b"/a/"), Some(("/".into(), "a".into())));
        assert_eq!(parts(b"/"), None);
        assert_eq!(parts(b""), None);
    }

    #[test]
    fn what_is_typed_is_read_as_a_shell_would() {
        let typed = |text: &str| typed(text, b"/home/me", b"/srv/www");
        for (text, path) in [
            ("~", "/home/me"),
            ("~/notes", "/home/me/notes"),
            ("/etc//ssh/", "/etc/ssh"),
            ("../log", "/srv/log"),
            ("a/./b", "/srv/www/a/b"),
            ("../../../..", "/"),
            ("~root", "/srv/www/~root"),
        ] {
            assert_eq!(typed(text), path, "{text}");
        }
    }

    #[test]
    fn a_name_that_is_no_text_is_shown_and_steers_nothing() {
        assert_eq!(shown(b"a\x1b[2J\xff\xe2\x80\xaeb"), "a?[2J\u{fffd}?b");
    }

    proptest! {
        #[test]
        fn what_is_joined_is_split_again(directory in "(/[a-z.]{1,3}){1,4}", name in proptest::collection::vec(any::<u8>(), 1..20)) {
            prop_assume!(is_name(&name));
            let parts = split(&join(directory.as_bytes(), &name));
            prop_assert_eq!(parts, Some((Bytes::from(directory), Bytes::from(name))));
        }

        #[test]
        fn no_path_panics_or_shows_a_control(path in proptest::collection::vec(any::<u8>(), 0..60)) {
            split(&path);
            plain(&path);
            let text = shown(&path);
            prop_assert!(!text.chars().any(is_hidden));
        }
    }
}
