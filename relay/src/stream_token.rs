//! The secret that lets an agent open one stream: random, used once, compared in constant time.

use std::fmt::Write as _;

use subtle::ConstantTimeEq as _;

/// 256 random bits, as hex.
#[derive(Clone)]
pub(crate) struct StreamToken(String);

impl StreamToken {
    /// A new one.
    pub(crate) fn random() -> Self {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        Self(
            bytes
                .iter()
                .fold(String::with_capacity(64), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                }),
        )
    }

    /// As it goes on the wire.
    pub(crate) fn expose(&self) -> String {
        self.0.clone()
    }

    /// Whether `other` is the same; how long this takes says nothing about where they differ.
    pub(crate) fn matches(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl std::fmt::Debug for StreamToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_matches() {
        let token = StreamToken::random();
        assert!(token.matches(&token.expose()));
        assert!(!token.matches(&StreamToken::random().expose()));
        assert!(!token.matches(""));
        assert!(!format!("{token:?}").contains(&token.expose()));
    }
}
