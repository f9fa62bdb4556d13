//! Where a browser goes once somebody has logged in: to one of our own pages, and nowhere else.

use serde::Deserialize;
use url::form_urlencoded::byte_serialize;

use super::html::hidden;
use crate::secret;

/// The page on which a program is allowed to act.
const AUTHORIZE: &str = "/oauth/authorize?";

/// The longest address that travels through a login: all parameters of an authorization request.
const LONGEST: usize = 8 << 10;

/// As it travels: in an address, or in the hidden fields of a form.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Wanted {
    user_code: Option<String>,
    next: Option<String>,
}

/// One of our pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// The device page, with a code or without.
    Device(Option<String>),
    /// The question whether a program may act, with its parameters.
    Authorize(String),
    /// The account's own page.
    Account,
}

impl From<Wanted> for Destination {
    fn from(wanted: Wanted) -> Self {
        Self::read(
            wanted.user_code.as_deref().unwrap_or_default(),
            wanted.next.as_deref().unwrap_or_default(),
        )
    }
}

impl Destination {
    /// What was asked for, if it can be; else the device page. Only a code that can be one travels on.
    pub(super) fn read(user_code: &str, next: &str) -> Self {
        let is_plain = next.len() <= LONGEST && next.bytes().all(|byte| byte.is_ascii_graphic());
        if next == "/account" {
            Self::Account
        } else if is_plain && next.starts_with(AUTHORIZE) {
            Self::Authorize(next.to_owned())
        } else {
            Self::Device(secret::read_user_code(user_code))
        }
    }

    /// Its address.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Device(None) => "/device".into(),
            Self::Device(Some(code)) => {
                format!("/device?user_code={}", secret::shown_user_code(code))
            }
            Self::Authorize(path) => path.clone(),
            Self::Account => "/account".into(),
        }
    }

    /// The address of `page`, which leads there afterwards.
    pub(super) fn through(&self, page: &str) -> String {
        match self {
            Self::Device(None) => page.to_owned(),
            Self::Device(Some(code)) => {
                format!("{page}?user_code={}", secret::shown_user_code(code))
            }
            Self::Authorize(_) | Self::Account => {
                let next: String = byte_serialize(self.path().as_bytes()).collect();
                format!("{page}?next={next}")
            }
        }
    }

    /// The hidden fields with which a form carries it on.
    pub(super) fn fields(&self) -> String {
        match self {
            Self::Device(code) => {
                let code = code.as_deref().map(secret::shown_user_code);
                hidden("user_code", &code.unwrap_or_default())
            }
            Self::Authorize(_) | Self::Account => hidden("next", &self.path()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_elsewhere() {
        for hostile in [
            "https://evil.example/",
            "//evil.example/oauth/authorize?",
            "/\\evil.example",
            "/oauth/authorize?a\r\nLocation: https://evil.example",
            "/oauth/authorize?a b",
            "/oauth/authorized",
            "javascript:alert(1)",
        ] {
            let read = Destination::read("", hostile);
            assert_eq!(read, Destination::Device(None), "{hostile}");
        }
        let long = format!("/oauth/authorize?{}", "x".repeat(LONGEST));
        assert_eq!(Destination::read("", &long), Destination::Device(None));
    }

    #[test]
    fn a_login_leads_where_it_was_meant_to() {
        let device = Destination::read("bcdf ghjk", "");
        assert_eq!(device.path(), "/device?user_code=BCDF-GHJK");
        assert_eq!(device.through("/login"), "/login?user_code=BCDF-GHJK");
        let question = Destination::read("", "/oauth/authorize?a=b&c=%22");
        assert_eq!(question.path(), "/oauth/authorize?a=b&c=%22");
        let through = question.through("/login");
        let next = through.strip_prefix("/login?").unwrap();
        let (_, next) = url::form_urlencoded::parse(next.as_bytes()).next().unwrap();
        assert_eq!(Destination::read("", &next), question);
        assert!(question.fields().contains("a=b&amp;c=%22"));
    }
}
