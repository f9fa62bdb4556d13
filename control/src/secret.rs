//! Secrets that we make: 256 random bits that leave once and are kept only as SHA-256.
//!
//! They carry so much entropy that a plain hash is enough, and a lookup by hash tells an attacker who
//! measures time nothing. Passwords are another matter: see [`crate::password`].

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Letters of user codes: no vowels, so no words; nothing that looks like a digit (RFC 8628, 6.1).
const USER_CODE_LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Letters of a user code: 20^8 possibilities, for ten minutes, behind a throttle.
const USER_CODE_LENGTH: usize = 8;

/// A secret on its way out. It is shown only when asked for by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one: `prefix` and 64 hexadecimal digits.
    pub fn random(prefix: &str) -> Self {
        Self(format!("{prefix}{}", random_hex()))
    }

    /// What somebody presented.
    pub fn given(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself: for the one answer that hands it out.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> String {
        hash(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Hexadecimal digits, lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// What [`hex`] wrote; nothing if it is something else.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut pairs = text.as_bytes().chunks_exact(2);
    let bytes = pairs
        .by_ref()
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?));
    let bytes = bytes.collect::<Option<Vec<u8>>>()?;
    pairs.remainder().is_empty().then_some(bytes)
}

/// 256 random bits as 64 hexadecimal digits.
pub(crate) fn random_hex() -> String {
    let mut bytes = [0; 32];
    fill(&mut bytes);
    hex(&bytes)
}

/// Random bytes of the operating system.
pub(crate) fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the kernel's random numbers do not fail once it has booted");
}

/// A code that a person types, without its hyphen.
pub(crate) fn user_code() -> String {
    letters(USER_CODE_LENGTH)
}

/// So many random letters of those that user codes are made of.
pub(crate) fn letters(length: usize) -> String {
    let mut code = String::with_capacity(length);
    while code.len() < length {
        let mut byte = [0];
        fill(&mut byte);
        // 240 is the largest multiple of 20 in a byte: above it some letters would be likelier.
        if byte[0] < 240 {
            code.push(char::from(USER_CODE_LETTERS[usize::from(byte[0] % 20)]));
        }
    }
    code
}

/// A user code as it is shown: `BCDF-GHJK`.
pub(crate) fn shown_user_code(code: &str) -> String {
    let (first, second) = code.split_at(code.len().min(USER_CODE_LENGTH / 2));
    format!("{first}-{second}")
}

/// What a person typed as a user code, without case, spaces and hyphens; nothing if it cannot be one.
pub(crate) fn read_user_code(typed: &str) -> Option<String> {
    read_letters(typed, USER_CODE_LENGTH)
}

/// What a person typed as so many of [`letters`]; nothing if it cannot be that.
pub(crate) fn read_letters(typed: &str, length: usize) -> Option<String> {
    let code: String = typed
        .chars()
        .take(64)
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    let is_code = code.len() == length
        && code
            .bytes()
            .all(|letter| USER_CODE_LETTERS.contains(&letter));
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_appear_in_a_debug_line() {
        let secret = Secret::random("cmdop_login_");
        assert!(!format!("{secret:?}").contains("cmdop_login_"));
        assert_eq!(secret.hash(), hash(secret.expose()));
        assert_ne!(secret, Secret::random("cmdop_login_"));
    }

    #[test]
    fn a_hash_is_sha_256_in_hex() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash("abc"), of_abc);
    }

    #[test]
    fn a_user_code_is_read_as_people_type_it() {
        let code = user_code();
        let shown = shown_user_code(&code);
        assert_eq!(read_user_code(&shown), Some(code.clone()));
        assert_eq!(
            read_user_code(&format!(" {} ", shown.to_lowercase())),
            Some(code)
        );
        for bad in ["", "AAAA-AAAA", "BCDF", "<script>", "BCDF-GHJKL"] {
            assert_eq!(read_user_code(bad), None, "{bad}");
        }
    }
}
