//! A terminal without a terminal: bytes in, screen out. No IO, no clock, no runtime.
//!
//! ```text
//! bytes ─► lexer ─► normaliser ─► grid (vt100, guarded) ─► ring (scrollback, logical lines)
//!            └─ half a sequence     ├─ replies  └─ events
//!               is kept, so that a snapshot is exact at any byte
//! ```
//!
//! Invariants:
//! * No byte stream makes an [`Emulator`] panic, hang, or grow beyond its [`Options`].
//! * `feed(a); feed(b)` is the same as `feed(a + b)`, wherever the cut is.
//! * [`Emulator::snapshot`] fed to a fresh emulator of the same size gives the same emulator.
//! * Nothing outside this crate names `vt100`; the grid behind the normaliser can be replaced.
//!
//! What it deliberately does not do: draw, talk to a PTY, decide who may read a clipboard, show
//! images. Blink, conceal and overline are parsed and dropped. At most 240 different looks beyond
//! those of the grid (kinds and colours of underlines, struck out text, links) are on the screen at
//! once, and links end with it: the scrollback and another size do not have them.
//!
//! # Panics of the grid
//!
//! The grid is third-party code fed with hostile input, so it runs under `catch_unwind`; a caught
//! panic rebuilds the screen and is told as [`Event::Rebuilt`]. The host's panic hook runs before
//! a panic can be caught: a hook that restores a terminal or aborts must first ask
//! [`is_contained`] and return when it is true. Panics must unwind (never `panic = "abort"`).

mod charset;
mod compare;
mod detail;
mod emulator;
mod event;
mod fast;
mod filter;
#[cfg(any(test, fuzzing))]
pub mod fuzzed;
mod grid;
mod history;
mod lexer;
mod line;
mod looks;
mod modes;
mod normaliser;
mod pen;
mod resize;
mod ring;
mod scan;
mod scrolled;
mod snapshot;
mod tabs;
mod text;
mod view;

pub use emulator::{Emulator, Options, Queries};
pub use event::{Event, Prompt};
pub use filter::QueryFilter;
pub use grid::is_contained;
pub use history::{HistoryMark, HistoryPage};
pub use looks::Link;
pub use modes::{CursorShape, Modes, MouseEncoding, MouseMode};
pub use pen::{Color, Underline};
pub use scrolled::line_cells;
pub use snapshot::Snapshot;
pub use view::{Cell, Cursor};

/// The smallest and largest number of rows an [`Emulator`] has; other sizes are clamped.
pub const ROWS: std::ops::RangeInclusive<u16> = 2..=1000;

/// The smallest and largest number of columns an [`Emulator`] has; other sizes are clamped.
pub const COLS: std::ops::RangeInclusive<u16> = 2..=2000;

#[cfg(test)]
mod amplification;
#[cfg(test)]
mod properties;
