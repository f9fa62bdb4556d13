//! What the client promises its user, key by key.

mod lists;
mod looking_back;
mod panes;
mod pointing;
mod random;
mod restoring;
mod tabs;
mod typing;
mod watching;
