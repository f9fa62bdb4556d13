//! Where a program may be answered: on the computer that the browser runs on, whatever its port (RFC 8252,
//! section 7.3), or at an address that was configured, word for word.

use url::{Host, Url};

/// The longest address that is looked at.
const LONGEST: usize = 1024;

/// An address that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedirectUri {
    given: String,
    url: Url,
}

impl RedirectUri {
    /// Reads it; nothing if it is neither of this computer nor one of `configured`.
    ///
    /// `localhost` is not of this computer: it is what the resolver says it is (RFC 8252, section 8.3).
    pub(crate) fn read(given: &str, configured: &[String]) -> Option<Self> {
        if given.len() > LONGEST || !given.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let url = Url::parse(given).ok()?;
        let is_loopback = url.scheme() == "http"
            && url.username().is_empty()
            && url.password().is_none()
            && match url.host() {
                Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
                Some(Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
                _ => false,
            };
        let is_known = is_loopback || configured.iter().any(|known| known == given);
        (is_known && url.fragment().is_none()).then(|| Self {
            given: given.to_owned(),
            url,
        })
    }

    /// As the program wrote it: it has to write the same when it brings the code.
    pub(crate) fn given(&self) -> &str {
        &self.given
    }

    /// The same, parsed.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// What a person is shown of it.
    pub(crate) fn shown(&self) -> String {
        cmdop_proto::text::shown(&self.url.origin().ascii_serialization(), 256)
    }

    /// What a content security policy calls it. The policy has no word for an IPv6 address.
    pub(crate) fn source(&self) -> String {
        match self.url.host() {
            Some(Host::Ipv6(_)) => format!("{}:", self.url.scheme()),
            _ => self.url.origin().ascii_serialization(),
        }
    }
}

/// Whether an administrator may configure it: an address elsewhere is reached over TLS.
pub(crate) fn may_be_configured(uri: &str) -> bool {
    let known = [uri.to_owned()];
    RedirectUri::read(uri, &known).is_some_and(|read| {
        read.url.scheme() == "https" && read.url.host().is_some() && read.url.username().is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_answered_on_this_computer_at_any_port() {
        for good in [
            "http://127.0.0.1:49152/callback",
            "http://127.0.0.1/",
            "http://[::1]:1/x?y=z",
        ] {
            assert!(RedirectUri::read(good, &[]).is_some(), "{good}");
        }
    }

    #[test]
    fn a_program_is_answered_nowhere_else() {
        for bad in [
            "",
            "http://localhost:1/",
            "https://127.0.0.1:1/",
            "http://127.0.0.1:1/#fragment",
            "http://127.0.0.1@evil.example/",
            "http://user@127.0.0.1/",
            "http://127.0.0.1.evil.example/",
            "http://10.0.0.1/",
            "javascript:alert(1)",
            "http://127.0.0.1/\r\nx",
            "//127.0.0.1/",
        ] {
            assert!(RedirectUri::read(bad, &[]).is_none(), "{bad}");
        }
        let long = format!("http://127.0.0.1/{}", "x".repeat(LONGEST));
        assert!(RedirectUri::read(&long, &[]).is_none());
    }

    #[test]
    fn a_configured_address_counts_word_for_word() {
        let configured = ["https://app.example/back".to_owned()];
        assert!(RedirectUri::read("https://app.example/back", &configured).is_some());
        for other in [
            "https://app.example/back/",
            "https://app.example/back?x",
            "https://APP.example/back",
        ] {
            assert!(RedirectUri::read(other, &configured).is_none(), "{other}");
        }
        assert!(may_be_configured("https://app.example/back"));
        for bad in [
            "http://app.example/",
            "app.example",
            "https://u@a/",
            "https://a/#x",
        ] {
            assert!(!may_be_configured(bad), "{bad}");
        }
    }

    #[test]
    fn the_policy_names_what_it_can() {
        let source = |uri| RedirectUri::read(uri, &[]).unwrap().source();
        assert_eq!(source("http://127.0.0.1:1/x"), "http://127.0.0.1:1");
        assert_eq!(source("http://[::1]:1/x"), "http:");
    }
}
