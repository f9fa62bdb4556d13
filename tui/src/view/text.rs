//! Text in the columns it has: stripped, measured, cut and filled up.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Longest text that is looked at; no screen is wider.
const MAX_TEXT: usize = 8 << 10;

/// `text` without anything that would steer the terminal, in at most `width` columns; cut off with `…`.
pub(crate) fn cut(text: &str, width: u16) -> String {
    let text = cmdop_proto::text::shown(text, MAX_TEXT);
    let width = usize::from(width);
    if text.width() <= width {
        return text;
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let columns = c.width().unwrap_or(0);
        if used + columns + 1 > width {
            break;
        }
        used += columns;
        kept.push(c);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// The same in exactly `width` columns, its beginning at the left.
pub(super) fn left(text: &str, width: u16) -> String {
    let mut text = cut(text, width);
    let fill = usize::from(width).saturating_sub(text.width());
    text.extend(std::iter::repeat_n(' ', fill));
    text
}

/// The same in exactly `width` columns, its end at the right.
pub(super) fn right(text: &str, width: u16) -> String {
    let text = cut(text, width);
    let fill = usize::from(width).saturating_sub(text.width());
    " ".repeat(fill) + &text
}

/// How many columns a stripped text takes.
pub(super) fn width(text: &str) -> u16 {
    text.width().min(usize::from(u16::MAX)) as u16
}

/// A time in at most four columns.
pub(crate) fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..=99 => format!("{seconds}s"),
        seconds @ 100..=5_999 => format!("{}m", seconds / 60),
        seconds @ 6_000..=359_999 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", (seconds / 86_400).min(999)),
    }
}

/// A number of bytes in a few columns.
pub(crate) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!(
                "{value:.*} {unit}",
                usize::from(unit != "B" && value < 100.0)
            );
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_takes_exactly_the_columns_it_is_given() {
        assert_eq!(left("web-1", 8), "web-1   ");
        assert_eq!(left("web-server-1", 8), "web-ser…");
        assert_eq!(right("12%", 5), "  12%");
        assert_eq!(left("漢字漢字", 6), "漢字… ");
        assert_eq!(left("x", 0), "");
        for width in 0..20 {
            assert_eq!(super::width(&left("a漢\u{1b}b字cdefgh", width)), width);
        }
    }

    #[test]
    fn ages_and_sizes_are_short() {
        let ages = [0, 99, 100, 5_999, 6_000, 360_000, u64::MAX];
        let ages: Vec<_> = ages
            .into_iter()
            .map(|s| age(Duration::from_secs(s)))
            .collect();
        assert_eq!(ages, ["0s", "99s", "1m", "99m", "1h", "4d", "999d"]);
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(300 << 30), "300 GiB");
    }
}
