//! Where the control planes of this suite keep their facts: in a file of their own.
//!
//! The same suite runs on PostgreSQL: see `tests/http_postgres`.

/// A database that nobody else uses.
#[derive(Debug)]
pub struct Database;

impl Database {
    pub fn new() -> Self {
        Self
    }

    /// What `--database` says: nothing, the data directory has it.
    #[allow(clippy::unused_self, reason = "the other suite's database has a URL")]
    pub fn url(&self) -> Option<String> {
        None
    }
}
