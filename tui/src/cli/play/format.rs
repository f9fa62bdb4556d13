//! One line of an asciicast, version 2 or 3. Pure: it reads no file and keeps no state.
//!
//! A recording may come from anybody. Times must be times and sizes sizes; what a line holds beyond
//! that is ignored, as the format wants it.

use std::time::Duration;

use cmdop_proto::Size;
use cmdop_proto::text::shown;
use serde::Deserialize;

/// Of a line's own words, as much as an error quotes.
const MAX_QUOTED: usize = 40;

/// No pause and no recording is longer; more is a mistake, and would overflow a clock.
const MAX_TIME: f64 = 10.0 * 365.0 * 86_400.0;

/// How the times of events count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// Since the start (version 2).
    Absolute,
    /// Since the event before (version 3).
    Relative,
}

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Header {
    pub(super) times: Times,
    pub(super) size: Size,
    /// The longest pause that its author wants.
    pub(super) idle_limit: Option<Duration>,
}

/// What one other line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) time: Duration,
    pub(super) kind: Kind,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The terminal gets this.
    Output(String),
    /// The recorded terminal has this size from here on.
    Resize(Size),
    /// A place with a name.
    Marker(String),
    /// What is not shown: input, the exit, what this version does not know.
    Other,
}

#[derive(Deserialize)]
struct RawHeader {
    version: u64,
    width: Option<u64>,
    height: Option<u64>,
    term: Option<RawTerm>,
    idle_time_limit: Option<f64>,
}

#[derive(Deserialize)]
struct RawTerm {
    cols: u64,
    rows: u64,
}

/// Reads the first line.
pub(super) fn header(line: &[u8]) -> Result<Header, String> {
    let header: RawHeader =
        serde_json::from_slice(line).map_err(|error| format!("is no header: {}", why(&error)))?;
    let (times, size) = match header.version {
        2 => (Times::Absolute, header.width.zip(header.height)),
        3 => (
            Times::Relative,
            header.term.map(|term| (term.cols, term.rows)),
        ),
        version => {
            return Err(format!(
                "says asciicast version {version}; versions 2 and 3 can be played"
            ));
        }
    };
    let (cols, rows) = size.ok_or("does not say the terminal's size")?;
    let idle_limit = match header.idle_time_limit {
        None => None,
        Some(limit) => Some(
            seconds(limit).ok_or_else(|| format!("has an idle_time_limit of {}", quoted(limit)))?,
        ),
    };
    let cell = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    Ok(Header {
        times,
        size: Size::clamped(cell(rows), cell(cols)),
        idle_limit,
    })
}

/// Reads another line; `None` for a comment or nothing at all.
pub(super) fn event(line: &[u8]) -> Result<Option<Line>, String> {
    if line.first() == Some(&b'#') || line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let (time, code, data): (f64, String, serde_json::Value) =
        serde_json::from_slice(line).map_err(|error| format!("is no event: {}", why(&error)))?;
    let time = seconds(time).ok_or_else(|| format!("has a time of {} seconds", quoted(time)))?;
    let kind = match code.as_str() {
        "o" => Kind::Output(text(data).ok_or("has output that is no text")?),
        "r" => {
            let size = text(data).ok_or("has a size that is no text")?;
            Kind::Resize(resize(&size).ok_or_else(|| {
                let size = shown(&size, MAX_QUOTED);
                format!("has a size of `{size}`, which is not COLSxROWS")
            })?)
        }
        "m" => Kind::Marker(text(data).ok_or("has a marker that is no text")?),
        _ => Kind::Other,
    };
    Ok(Some(Line { time, kind }))
}

/// Reads seconds: of a line, or of a flag.
pub(super) fn seconds(seconds: f64) -> Option<Duration> {
    (0.0..=MAX_TIME)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

/// A size that no terminal of ours could have is the nearest one.
fn resize(text: &str) -> Option<Size> {
    let (cols, rows) = text.split_once('x')?;
    Some(Size::clamped(rows.parse().ok()?, cols.parse().ok()?))
}

fn text(value: serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    }
}

/// A number may have three hundred digits.
fn quoted(number: f64) -> String {
    shown(&number.to_string(), MAX_QUOTED)
}

/// What the parser says, without its own count of lines.
fn why(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    format!("{}, column {}", shown(message, 200), error.column())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(line: &str) -> Result<Option<Line>, String> {
        event(line.as_bytes())
    }

    #[test]
    fn both_versions_have_a_header() {
        let two = header(br#"{"version": 2, "width": 100, "height": 30, "idle_time_limit": 2.5}"#);
        assert_eq!(
            two,
            Ok(Header {
                times: Times::Absolute,
                size: "100x30".parse().unwrap(),
                idle_limit: Some(Duration::from_millis(2500)),
            })
        );
        let three = header(
            br#"{"version": 3, "term": {"cols": 0, "rows": 99999999, "theme": {}}, "x": 1}"#,
        );
        assert_eq!(
            three,
            Ok(Header {
                times: Times::Relative,
                size: "2x1000".parse().unwrap(),
                idle_limit: None,
            })
        );
    }

    #[test]
    fn a_bad_header_is_told_with_what_is_wrong() {
        for (line, says) in [
            ("", "is no header"),
            ("[1, 2]", "is no header"),
            ("{\"width\": 80, \"height\": 24}", "missing field `version`"),
            (r#"{"version": 1, "width": 80, "height": 24}"#, "version 1"),
            (r#"{"version": 2, "width": 80}"#, "size"),
            (r#"{"version": 3, "width": 80, "height": 24}"#, "size"),
            (
                r#"{"version": 2, "width": 8, "height": 4, "idle_time_limit": -1}"#,
                "idle_time_limit of -1",
            ),
        ] {
            let error = header(line.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
    }

    #[test]
    fn an_event_is_read() {
        let kind = |line| of(line).unwrap().unwrap().kind;
        assert_eq!(
            of(r#"[1.5, "o", "a\u001b[m"]"#),
            Ok(Some(Line {
                time: Duration::from_millis(1500),
                kind: Kind::Output("a\u{1b}[m".into()),
            }))
        );
        assert_eq!(
            kind(r#"[0, "r", "90x30"]"#),
            Kind::Resize("90x30".parse().unwrap())
        );
        assert_eq!(kind(r#"[0, "r", "1x1"]"#), Kind::Resize(Size::MIN));
        assert_eq!(kind(r#"[0, "m", ""]"#), Kind::Marker(String::new()));
        assert_eq!(kind(r#"[0, "x", "0"]"#), Kind::Other);
        assert_eq!(kind(r#"[0, "i", "typed"]"#), Kind::Other);
        assert_eq!(kind(r#"[0, "new", {"a": 1}]"#), Kind::Other);
        assert_eq!(of("# a comment"), Ok(None));
        assert_eq!(of(" \r"), Ok(None));
    }

    #[test]
    fn a_bad_event_is_told_with_what_is_wrong() {
        for (line, says) in [
            ("{}", "is no event"),
            (r#"[1, "o""#, "column 7"),
            (r#"[1, "o"]"#, "is no event"),
            (r#"[1, "o", "a", 2]"#, "is no event"),
            (r#"[-1, "o", "a"]"#, "a time of -1"),
            (r#"[1e300, "o", "a"]"#, "a time of"),
            (r#"["1", "o", "a"]"#, "is no event"),
            (r#"[1, "o", 7]"#, "output that is no text"),
            (r#"[1, "r", "80\u001bx"]"#, "`80x`, which is not COLSxROWS"),
            (r#"[1, "r", "-1x5"]"#, "not COLSxROWS"),
        ] {
            let error = of(line).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
            assert!(
                !error.contains('\u{1b}') && !error.contains("line 1"),
                "{error}"
            );
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let line = format!("[1, \"o\", {}", "[".repeat(1_000_000));
        assert!(of(&line).is_err());
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (header(&line), event(&line));
        }

        #[test]
        fn text_comes_back_as_it_was(text in any::<String>(), ms in 0_u64..1_000_000) {
            let line = serde_json::json!([ms as f64 / 1000.0, "o", text]).to_string();
            let read = event(line.as_bytes()).unwrap().unwrap();
            prop_assert_eq!(read.kind, Kind::Output(text));
            prop_assert_eq!(read.time.as_millis() as u64, ms);
        }
    }
}
