//! Places on the command line: `web-1:/var/log`, `web-1:notes`, or a path here, as with scp.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use bytes::Bytes;
use cmdop_client::files::Place;
use cmdop_client::transfer::Location;
use cmdop_proto::text::shown;

use super::failure::Failure;

/// Reads a place: what stands before the first colon names a machine, unless a slash comes before it.
pub(super) fn location(text: &OsStr) -> Location {
    let bytes = text.as_bytes();
    let colon = bytes.iter().position(|byte| *byte == b':');
    let slash = bytes.iter().position(|byte| *byte == b'/');
    match colon {
        Some(colon) if slash.is_none_or(|slash| colon < slash) => Location {
            place: Place::Machine(String::from_utf8_lossy(&bytes[..colon]).into_owned()),
            path: Bytes::copy_from_slice(&bytes[colon + 1..]),
        },
        _ => Location {
            place: Place::Here,
            path: Bytes::copy_from_slice(bytes),
        },
    }
}

/// Reads a place that must be on a machine: its name, and the path.
pub(super) fn on_machine(text: &OsStr) -> Result<(String, Bytes), Failure> {
    let location = location(text);
    match location.place {
        Place::Machine(machine) if !machine.is_empty() => Ok((machine, location.path)),
        _ => Err(Failure::usage(format!(
            "`{}` names no machine",
            shown(&text.to_string_lossy(), 256)
        ))
        .hint("write MACHINE:PATH, for example web-1:/var/log")),
    }
}

/// A path as it is shown.
pub(super) fn path(path: &[u8]) -> String {
    shown(&String::from_utf8_lossy(path), 4096)
}

/// For JSON: the bytes of a path that is no text, as hexadecimal digits.
pub(super) fn hex(path: &[u8]) -> Option<String> {
    if std::str::from_utf8(path).is_ok() {
        return None;
    }
    Some(path.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A number of bytes as a person reads it: `1.5 GiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog2() / 10).min(UNITS.len() as u32);
    let value = bytes as f64 / (1u64 << (10 * power)) as f64;
    format!("{value:.1} {}", UNITS[power as usize - 1])
}

/// Reads a number of bytes: `500`, `64K`, `10M`, `1.5G`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "it is not a number of bytes; for example 500K, 10M or 1.5G".to_owned();
    let trimmed = text
        .trim()
        .trim_end_matches(['B', 'b'])
        .trim_end_matches('i');
    let unit = trimmed.chars().last().ok_or_else(wrong)?;
    let power = match unit.to_ascii_uppercase() {
        'K' => 1,
        'M' => 2,
        'G' => 3,
        'T' => 4,
        _ => 0,
    };
    let number = if power > 0 {
        &trimmed[..trimmed.len() - 1]
    } else {
        trimmed
    };
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    if !number.is_finite() || number < 0.0 {
        return Err(wrong());
    }
    Ok((number * 1024f64.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_before_any_slash_parts_a_machine_from_a_path() {
        let machine = |text: &str| location(OsStr::new(text));
        assert_eq!(
            machine("web-1:/var/log").place,
            Place::Machine("web-1".into())
        );
        assert_eq!(machine("web-1:a:b").path, "a:b");
        assert_eq!(machine("web-1:").path, "");
        for here in ["./a:b", "/a:b", "plain", ""] {
            assert_eq!(machine(here).place, Place::Here, "{here}");
        }
        assert!(on_machine(OsStr::new("plain")).is_err());
        assert!(on_machine(OsStr::new(":plain")).is_err());
    }

    #[test]
    fn sizes_are_read_and_shown_in_powers_of_1024() {
        assert_eq!(bytes("500"), Ok(500));
        assert_eq!(bytes("64K"), Ok(64 << 10));
        assert_eq!(bytes("1.5GiB"), Ok(3 << 29));
        for wrong in ["", "x", "-1", "K", "nan"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn a_path_that_is_no_text_keeps_its_bytes_in_json() {
        assert_eq!(hex(b"abc"), None);
        assert_eq!(hex(b"a\xff").as_deref(), Some("61ff"));
        assert_eq!(path(b"a\x1b[31m"), "a[31m");
    }
}
