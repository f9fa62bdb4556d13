//! Why a password, or a code of the second factor, does not let somebody in.

use std::time::Duration;

use crate::store;

/// What is wrong.
pub(super) enum Failure {
    /// It is not theirs, or was used.
    Wrong,
    /// It was guessed at too often: so long nobody may.
    TooOften(Duration),
    /// Ours.
    Broken(String),
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Broken(error.to_string())
    }
}
