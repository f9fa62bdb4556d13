//! Which key does what, where: one list of actions and the tables of keys that lead to them; and the
//! way back from a key to the bytes that a program in a pane gets for it.
//!
//! In a pane every key but the prefix belongs to the remote program.

pub mod action;
pub mod chord;
pub mod encode;
pub mod mouse;
mod paste;
pub mod tables;

pub use action::{Action, Category, Verb};
pub use chord::Chord;
pub use paste::{is_harmless, paste};
pub use tables::{Binding, Keymap};
