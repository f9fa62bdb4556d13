//! The browser's side of a login: a cookie, the form token that belongs to it, and who it is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cmdop_proto::{AccountId, WorkspaceId};
use http::{HeaderMap, HeaderValue, header};
use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::lifetimes::PAGE_LOGIN;
use crate::secret;

/// `__Host-`: set by this host over TLS and for no other host (RFC 6265bis, section 4.1.3.2).
const COOKIE: &str = "__Host-cmdop";

/// People who approve devices at the same time; the oldest gives way.
const MAX_LOGINS: usize = 4096;

/// Browsers of one account among them.
const MAX_OF_ONE: usize = 16;

/// One browser. Its id is known to it and to nobody else; we keep only the hash.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Browser(String);

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Browser(…)")
    }
}

impl Browser {
    /// One that we have not seen.
    pub(crate) fn new() -> Self {
        Self(secret::random_hex())
    }

    /// The one that sent this request, if it has our cookie.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
            .find(|id| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()))
            .map(|id| Self(id.to_owned()))
    }

    /// What we keep of its id.
    pub(crate) fn hash(&self) -> String {
        secret::hash(&self.0)
    }

    /// The header that gives the browser its id.
    ///
    /// `Lax`, so that the link that a terminal shows finds the browser logged in; no form is accepted
    /// without its token.
    pub(crate) fn set_cookie(&self) -> HeaderValue {
        let cookie = format!(
            "{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax",
            self.0
        );
        HeaderValue::from_str(&cookie).expect("hexadecimal digits and constants are visible ASCII")
    }
}

/// Who a browser is logged in as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageLogin {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The account.
    pub account: AccountId,
    /// How often its logins had been ended when the first factor was looked at: once more, and this one has, too.
    pub epoch: u64,
}

/// How far a login has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The first factor was right; the second is still to be shown.
    Halfway,
    /// The same, but there is no second factor yet, and the workspace requires one.
    Enrolling,
    /// Somebody is there.
    In,
}

struct Kept {
    login: PageLogin,
    stage: Stage,
    until_ms: u64,
}

/// The browsers that are logged in. They are few and short, so a restart may forget them.
pub(crate) struct PageLogins {
    form_key: hmac::Key,
    kept: Mutex<HashMap<String, Kept>>,
}

impl std::fmt::Debug for PageLogins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PageLogins")
    }
}

impl Default for PageLogins {
    fn default() -> Self {
        let mut key = [0; 32];
        secret::fill(&mut key);
        Self {
            form_key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            kept: Mutex::default(),
        }
    }
}

fn remove_oldest(kept: &mut HashMap<String, Kept>, of: impl Fn(&Kept) -> bool) {
    let some = kept.iter().filter(|(_, kept)| of(kept));
    let oldest = some.min_by_key(|(_, kept)| kept.until_ms);
    if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
        kept.remove(&oldest);
    }
}

impl PageLogins {
    /// What every form for this browser must carry.
    pub(crate) fn form_token(&self, browser: &Browser) -> String {
        secret::hex(hmac::sign(&self.form_key, browser.0.as_bytes()).as_ref())
    }

    /// Whether a form came from a page that we gave to this browser.
    pub(crate) fn is_own_form(&self, browser: &Browser, token: &str) -> bool {
        let wanted = self.form_token(browser);
        wanted.as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// Logs in as far as `stage`, under a new id: one that was planted in the browser before is worth nothing.
    pub(crate) fn log_in(&self, login: PageLogin, stage: Stage, now_ms: u64) -> Browser {
        let browser = Browser::new();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.until_ms > now_ms);
        // Who logs in again and again pushes out nobody else.
        let own = kept.values().filter(|kept| kept.login == login).count();
        if own >= MAX_OF_ONE {
            remove_oldest(&mut kept, |kept| kept.login == login);
        } else if kept.len() >= MAX_LOGINS {
            remove_oldest(&mut kept, |_| true);
        }
        let until_ms = now_ms + PAGE_LOGIN.as_millis() as u64;
        let entry = Kept {
            login,
            stage,
            until_ms,
        };
        kept.insert(browser.hash(), entry);
        browser
    }

    /// Who this browser is logged in as, all the way.
    pub(crate) fn login_of(&self, browser: &Browser, now_ms: u64) -> Option<PageLogin> {
        let (login, stage) = self.stage_of(browser, now_ms)?;
        (stage == Stage::In).then_some(login)
    }

    /// Who this browser says to be, and how far it has proved that.
    pub(crate) fn stage_of(&self, browser: &Browser, now_ms: u64) -> Option<(PageLogin, Stage)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&browser.hash())
            .filter(|kept| kept.until_ms > now_ms)
            .map(|kept| (kept.login, kept.stage))
    }

    /// Forgets all browsers that are logged in, or halfway, as this account.
    pub(crate) fn log_out_all(&self, login: PageLogin) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.login != login);
    }

    /// Forgets who this browser was logged in as.
    pub(crate) fn log_out(&self, browser: &Browser) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&browser.hash());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody() -> PageLogin {
        PageLogin {
            workspace: WorkspaceId::new(),
            account: AccountId::new(),
            epoch: 0,
        }
    }

    #[test]
    fn who_logs_in_without_end_pushes_out_nobody_else() {
        let logins = PageLogins::default();
        let (ada, mallory) = (somebody(), somebody());
        let browser = logins.log_in(ada, Stage::In, 1);
        let first = logins.log_in(mallory, Stage::In, 1);
        for now_ms in 2..MAX_LOGINS as u64 + 10 {
            logins.log_in(mallory, Stage::In, now_ms);
        }
        assert_eq!(logins.login_of(&browser, 2), Some(ada));
        assert_eq!(logins.login_of(&first, 2), None);
    }

    #[test]
    fn a_form_token_belongs_to_one_browser() {
        let logins = PageLogins::default();
        let (mine, other) = (Browser::new(), Browser::new());
        let token = logins.form_token(&mine);
        assert!(logins.is_own_form(&mine, &token));
        assert!(!logins.is_own_form(&other, &token));
        assert!(!logins.is_own_form(&mine, ""));
        assert!(!PageLogins::default().is_own_form(&mine, &token));
    }

    #[test]
    fn a_page_login_ends_by_itself() {
        let (logins, who) = (PageLogins::default(), somebody());
        let browser = logins.log_in(who, Stage::In, 1_000);
        let end = 1_000 + PAGE_LOGIN.as_millis() as u64;
        assert_eq!(logins.login_of(&browser, end - 1), Some(who));
        assert_eq!(logins.login_of(&browser, end), None);
        assert_eq!(logins.login_of(&Browser::new(), 1_000), None);
        logins.log_out(&browser);
        assert_eq!(logins.login_of(&browser, 1_000), None);
    }

    #[test]
    fn who_is_halfway_is_not_in() {
        let (logins, who) = (PageLogins::default(), somebody());
        for stage in [Stage::Halfway, Stage::Enrolling] {
            let browser = logins.log_in(who, stage, 1_000);
            assert_eq!(logins.login_of(&browser, 1_000), None);
            assert_eq!(logins.stage_of(&browser, 1_000), Some((who, stage)));
        }
        let (mine, other) = (
            logins.log_in(who, Stage::In, 1_000),
            logins.log_in(somebody(), Stage::In, 1_000),
        );
        logins.log_out_all(who);
        assert_eq!(logins.login_of(&mine, 1_000), None);
        assert!(logins.login_of(&other, 1_000).is_some());
    }

    #[test]
    fn the_cookie_is_found_among_others_and_only_if_it_is_ours() {
        let browser = Browser::new();
        let cookie = browser.set_cookie();
        let pair = cookie
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        let with = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, line.parse().unwrap());
            Browser::of(&headers)
        };
        assert_eq!(with(&format!("a=b; {pair}; c=d")), Some(browser));
        assert_eq!(with("__Host-cmdop=short"), None);
        assert_eq!(with("a=b"), None);
    }
}
