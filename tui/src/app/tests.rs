//! What the client promises its user, key by key.

mod lists;
mod panes;
mod pointing;
mod random;
mod restoring;
mod tabs;
mod typing;
