//! The access token of a profile, always fresh: read from the store, refreshed 60 s before its end,
//! by one process at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Skew, now_ms};
use crate::error::Error;
use crate::home::Home;
use crate::keys;
use crate::oauth::{self, Grant};
use crate::profile::Profile;
use crate::token_store::{self, Secret, Stored};

/// A token with less life than this is refreshed first: it must outlive the call that it goes with,
/// and a server's clock that is ahead of ours.
pub const REFRESH_MARGIN: Duration = Duration::from_secs(60);

/// Gives out access tokens. Clones share one cache.
#[derive(Clone, Debug)]
pub struct Tokens {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: Source,
    // Held only to copy in and out, never across an await.
    cached: Mutex<Option<Stored>>,
    skew: Mutex<Option<Skew>>,
}

#[derive(Debug)]
enum Source {
    /// The store of a profile.
    Profile { home: Home, profile: Profile },
    /// One token that somebody else looks after.
    Fixed(Secret),
}

impl Tokens {
    /// The tokens of a profile. Nothing is read yet.
    pub fn of(home: Home, profile: Profile) -> Self {
        Self::from_source(Source::Profile { home, profile })
    }

    /// Always the same access token: for tests, and for callers with a token of their own.
    pub fn fixed(access_token: Secret) -> Self {
        Self::from_source(Source::Fixed(access_token))
    }

    fn from_source(source: Source) -> Self {
        Self {
            inner: Arc::new(Inner {
                source,
                cached: Mutex::new(None),
                skew: Mutex::new(None),
            }),
        }
    }

    /// A token that is good for at least [`REFRESH_MARGIN`]. While the control plane is away, one
    /// that is still good at all.
    pub async fn access(&self) -> Result<Secret, Error> {
        if let Source::Fixed(token) = &self.inner.source {
            return Ok(token.clone());
        }
        if let Some(stored) = self.cached().filter(has_margin) {
            return Ok(stored.access_token);
        }
        if let Some(stored) = self.load().await?.filter(has_margin) {
            return Ok(self.keep(stored));
        }
        self.refresh(has_margin).await
    }

    /// A token other than `refused`, which a server called expired although we did not.
    pub async fn instead_of(&self, refused: &Secret) -> Result<Secret, Error> {
        self.refresh(|stored| stored.access_token != *refused && has_margin(stored))
            .await
    }

    /// How far our clock is from the server's, if a refresh found that it matters; told once.
    pub fn take_skew(&self) -> Option<Skew> {
        lock(&self.inner.skew).take()
    }

    /// Refreshes under the lock, unless another process just did.
    async fn refresh(&self, good: impl Fn(&Stored) -> bool) -> Result<Secret, Error> {
        let Source::Profile { home, profile } = &self.inner.source else {
            return self.fixed_again();
        };
        let _lock = token_store::lock(home, &profile.name).await?;
        let stored = self.load().await?.ok_or_else(|| Error::NotLoggedIn {
            profile: profile.name.clone(),
            why: String::new(),
        })?;
        if good(&stored) {
            return Ok(self.keep(stored));
        }
        let server = oauth::Server::new(&profile.control_url, &profile.trust())?;
        // A profile that was made with an API key keeps it in the refresh token's place.
        let granted = if stored.refresh_token.expose().starts_with(keys::PREFIX) {
            server.exchange_key(&stored.refresh_token).await
        } else {
            server.refresh(&stored.refresh_token).await
        };
        match granted {
            Ok(grant) => self.granted(home, profile, grant, stored).await,
            Err(error) if error.is_void() => Err(Error::NotLoggedIn {
                profile: profile.name.clone(),
                why: format!(" any more: {error}"),
            }),
            Err(_) if stored.access_expires_at_ms > now_ms() => Ok(self.keep(stored)),
            Err(error) => Err(error.into()),
        }
    }

    async fn granted(
        &self,
        home: &Home,
        profile: &Profile,
        grant: Grant,
        previous: Stored,
    ) -> Result<Secret, Error> {
        (*lock(&self.inner.skew)).clone_from(&grant.skew());
        let stored = grant.stored(previous.refresh_token);
        token_store::save(home, profile, &stored).await?;
        Ok(self.keep(stored))
    }

    fn fixed_again(&self) -> Result<Secret, Error> {
        match &self.inner.source {
            Source::Fixed(token) => Ok(token.clone()),
            Source::Profile { profile, .. } => Err(Error::NotLoggedIn {
                profile: profile.name.clone(),
                why: String::new(),
            }),
        }
    }

    async fn load(&self) -> Result<Option<Stored>, Error> {
        match &self.inner.source {
            Source::Fixed(_) => Ok(None),
            Source::Profile { home, profile } => Ok(token_store::load(home, profile).await?),
        }
    }

    fn cached(&self) -> Option<Stored> {
        lock(&self.inner.cached).clone()
    }

    fn keep(&self, stored: Stored) -> Secret {
        let token = stored.access_token.clone();
        *lock(&self.inner.cached) = Some(stored);
        token
    }
}

fn has_margin(stored: &Stored) -> bool {
    stored.access_expires_at_ms >= now_ms() + REFRESH_MARGIN.as_millis() as u64
}

/// A panic elsewhere left the value whole: it is only ever replaced.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::json;

    use super::*;
    use crate::fake_control::FakeControl;
    use crate::home::Keyring;

    fn profile() -> Profile {
        Profile {
            name: "p".into(),
            control_url: "https://127.0.0.1:1".into(),
            ..Profile::default()
        }
    }

    fn stored(lives_for: Duration) -> Stored {
        Stored {
            refresh_token: Secret::new("r"),
            access_token: Secret::new("a"),
            access_expires_at_ms: now_ms() + lives_for.as_millis() as u64,
        }
    }

    #[tokio::test]
    async fn without_tokens_the_answer_is_not_logged_in() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), Keyring::Avoided);
        let error = Tokens::of(home, profile()).access().await.unwrap_err();
        assert_eq!(error.refusal().reason, "not-logged-in");
        assert_eq!(error.exit_code(), 77);
    }

    #[tokio::test]
    async fn a_fresh_token_costs_no_request_and_an_old_one_serves_while_the_server_is_away() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), Keyring::Avoided);
        for lives_for in [Duration::from_secs(600), Duration::from_secs(20)] {
            token_store::save(&home, &profile(), &stored(lives_for))
                .await
                .unwrap();
            let tokens = Tokens::of(home.clone(), profile());
            assert_eq!(tokens.access().await.unwrap(), Secret::new("a"));
        }
    }

    /// Refresh tokens rotate, and one that is used twice ends the login, as at a real server.
    async fn rotating() -> (FakeControl, Arc<AtomicU32>) {
        let refreshed = Arc::new(AtomicU32::new(0));
        let count = refreshed.clone();
        let control = FakeControl::start(move |_, form| {
            let now = count.load(Ordering::SeqCst);
            if form["refresh_token"] != format!("r{now}") {
                count.store(1000, Ordering::SeqCst);
                return (
                    400,
                    json!({"error": "invalid_grant", "error_description": "used twice"}),
                );
            }
            count.store(now + 1, Ordering::SeqCst);
            let body = json!({"access_token": format!("a{}", now + 1), "expires_in": 3600,
                "refresh_token": format!("r{}", now + 1),
                "server_time_ms": now_ms() + 90_000});
            (200, body)
        })
        .await;
        (control, refreshed)
    }

    fn expired() -> Stored {
        Stored {
            refresh_token: Secret::new("r0"),
            access_token: Secret::new("a0"),
            access_expires_at_ms: now_ms(),
        }
    }

    #[tokio::test]
    async fn many_processes_refresh_once_and_all_get_the_new_token() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), Keyring::Avoided);
        let (control, refreshed) = rotating().await;
        token_store::save(&home, &control.profile, &expired())
            .await
            .unwrap();
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            // A cache of its own each, as processes have.
            let tokens = Tokens::of(home.clone(), control.profile.clone());
            callers.spawn(async move { tokens.access().await });
        }
        for token in callers.join_all().await {
            assert_eq!(token.unwrap(), Secret::new("a1"));
        }
        assert_eq!(refreshed.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once_even_if_many_were_refused() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), Keyring::Avoided);
        let (control, refreshed) = rotating().await;
        token_store::save(&home, &control.profile, &expired())
            .await
            .unwrap();
        let tokens = Tokens::of(home, control.profile.clone());
        let refused = tokens.access().await.unwrap();
        assert_eq!(
            tokens.instead_of(&refused).await.unwrap(),
            Secret::new("a2")
        );
        assert_eq!(
            tokens.instead_of(&refused).await.unwrap(),
            Secret::new("a2")
        );
        assert_eq!(refreshed.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_refresh_tells_of_a_wrong_clock_once() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), Keyring::Avoided);
        let (control, _) = rotating().await;
        token_store::save(&home, &control.profile, &expired())
            .await
            .unwrap();
        let tokens = Tokens::of(home, control.profile.clone());
        tokens.access().await.unwrap();
        assert!(matches!(tokens.take_skew(), Some(Skew::Behind(_))));
        assert!(tokens.take_skew().is_none());
    }

    #[tokio::test]
    async fn a_login_that_was_ended_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), Keyring::Avoided);
        let (control, _) = rotating().await;
        let stale = Stored {
            refresh_token: Secret::new("older"),
            ..expired()
        };
        token_store::save(&home, &control.profile, &stale)
            .await
            .unwrap();
        let error = Tokens::of(home, control.profile.clone())
            .access()
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "not logged in to profile `test` any more: used twice"
        );
        assert_eq!(error.exit_code(), 77);
    }

    #[tokio::test]
    async fn an_expired_token_is_not_given_out() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path(), Keyring::Avoided);
        token_store::save(&home, &profile(), &stored(Duration::ZERO))
            .await
            .unwrap();
        assert!(Tokens::of(home, profile()).access().await.is_err());
    }
}
