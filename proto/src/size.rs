//! The size of a terminal; a wrong one cannot be held.

use std::fmt;
use std::str::FromStr;

use crate::error::Refusal;
use crate::v1;

/// Rows and columns of a terminal, inside [`Size::MIN`] and [`Size::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    rows: u16,
    cols: u16,
}

impl Size {
    /// Below this an emulator cannot place a wide character and its cursor.
    pub const MIN: Self = Self { rows: 2, cols: 2 };
    /// Beyond this a screen costs more memory than a viewer could be worth (2 million cells).
    pub const MAX: Self = Self {
        rows: 1000,
        cols: 2000,
    };
    /// What a terminal has that nobody has sized.
    pub const DEFAULT: Self = Self { rows: 24, cols: 80 };

    /// The size if it is inside the limits.
    pub fn new(rows: u32, cols: u32) -> Result<Self, Refusal> {
        let fits = |n: u32, low: u16, high: u16| (u32::from(low)..=u32::from(high)).contains(&n);
        if fits(rows, Self::MIN.rows, Self::MAX.rows) && fits(cols, Self::MIN.cols, Self::MAX.cols)
        {
            Ok(Self {
                rows: rows as u16,
                cols: cols as u16,
            })
        } else {
            Err(Refusal::invalid(
                "bad-size",
                format!(
                    "a terminal of {cols}x{rows} is outside {} to {}",
                    Self::MIN,
                    Self::MAX
                ),
            ))
        }
    }

    /// The nearest size inside the limits: for what a real terminal reports, 0×0 included.
    pub fn clamped(rows: u16, cols: u16) -> Self {
        Self {
            rows: rows.clamp(Self::MIN.rows, Self::MAX.rows),
            cols: cols.clamp(Self::MIN.cols, Self::MAX.cols),
        }
    }

    /// Height in cells.
    pub fn rows(self) -> u16 {
        self.rows
    }

    /// Width in cells.
    pub fn cols(self) -> u16 {
        self.cols
    }
}

impl fmt::Display for Size {
    /// As people write it: columns first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.cols, self.rows)
    }
}

impl FromStr for Size {
    type Err = Refusal;

    /// Reads `COLSxROWS`.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let parsed = text
            .split_once('x')
            .and_then(|(cols, rows)| Some((rows.parse().ok()?, cols.parse().ok()?)));
        match parsed {
            Some((rows, cols)) => Self::new(rows, cols),
            None => Err(Refusal::invalid(
                "bad-size",
                format!("`{}` is not COLSxROWS", crate::text::shown(text, 32)),
            )
            .hint("for example 120x40")),
        }
    }
}

impl From<Size> for v1::Size {
    fn from(size: Size) -> Self {
        Self {
            rows: size.rows.into(),
            cols: size.cols.into(),
        }
    }
}

impl TryFrom<v1::Size> for Size {
    type Error = Refusal;

    fn try_from(size: v1::Size) -> Result<Self, Refusal> {
        Self::new(size.rows, size.cols)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_of_nothing_cannot_be_made() {
        assert!(Size::new(0, 0).is_err());
        assert!(Size::new(24, 100_000).is_err());
        assert_eq!(Size::clamped(0, 0), Size::MIN);
    }

    #[test]
    fn columns_come_first_in_text() {
        assert_eq!(
            "120x40".parse::<Size>().unwrap(),
            Size::new(40, 120).unwrap()
        );
        assert_eq!(Size::DEFAULT.to_string(), "80x24");
        assert!("120".parse::<Size>().is_err());
    }
}
