//! Where the control planes of this suite keep their facts: in a database of their own on one server.

use crate::server;

/// A database that nobody else uses.
pub struct Database(server::Database);

impl Database {
    pub fn new() -> Self {
        Self(server::Database::new())
    }

    /// What `--database` says.
    #[allow(
        clippy::unnecessary_wraps,
        reason = "the other suite's database has none"
    )]
    pub fn url(&self) -> Option<String> {
        Some(self.0.url())
    }
}
