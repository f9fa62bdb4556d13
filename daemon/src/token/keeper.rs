//! The task that keeps the machine's token fresh.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cmdop_client::backoff::Backoff;
use cmdop_client::dial::Trust;
use cmdop_service::now_ms;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Token, Tokens, assertion};
use crate::control_http;
use crate::identity::{Identity, TOKEN_FILE};

/// RFC 7523, section 2.2, form-encoded.
const GRANT: &str = "grant_type=client_credentials&client_assertion_type=\
                     urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

/// Dial, ask and answer must be done in this time.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The wait after a refusal: it will not change by itself, but an operator may change it.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// Why there is no new token.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Key(#[from] assertion::Error),
    #[error(transparent)]
    Http(#[from] control_http::Error),
    #[error("the control plane did not answer in {} s", TIMEOUT.as_secs())]
    Timeout,
}

#[derive(serde::Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
    #[serde(default)]
    server_time_ms: u64,
}

/// Gets tokens and publishes them.
#[derive(Debug)]
pub(crate) struct Keeper {
    identity: Identity,
    key_pem: String,
    path: PathBuf,
    present: watch::Sender<Option<Token>>,
    trouble: watch::Sender<String>,
    wishes: mpsc::Receiver<()>,
    backoff: Backoff,
    has_warned: bool,
}

/// A keeper for this machine, and the tokens that it keeps, beginning with the one on disk.
pub(crate) fn keep(data_dir: &Path, identity: Identity, key_pem: String) -> (Keeper, Tokens) {
    let path = data_dir.join(TOKEN_FILE);
    let (present, receiver) = watch::channel(Token::load(&path));
    let (trouble, troubles) = watch::channel(String::new());
    // One wish stands for all: it is for "a new one".
    let (renew, wishes) = mpsc::channel(1);
    let keeper = Keeper {
        identity,
        key_pem,
        path,
        present,
        trouble,
        wishes,
        backoff: Backoff::new(),
        has_warned: false,
    };
    let tokens = Tokens {
        present: receiver,
        trouble: troubles,
        renew,
    };
    (keeper, tokens)
}

impl Keeper {
    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.renew_for_ever()).await;
    }

    async fn renew_for_ever(&mut self) {
        loop {
            let wait = self.until_renewal();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                wish = self.wishes.recv() => if wish.is_none() { return },
            }
            self.renew().await;
            // Wishes that came meanwhile are fulfilled.
            while self.wishes.try_recv().is_ok() {}
        }
    }

    fn until_renewal(&self) -> Duration {
        let present = self.present.borrow();
        let renew_at = present.as_ref().map_or(0, Token::renew_at_ms);
        Duration::from_millis(renew_at.saturating_sub(now_ms()))
    }

    /// Tries until there is a new token.
    async fn renew(&mut self) {
        loop {
            let fetched = tokio::time::timeout(TIMEOUT, Box::pin(self.fetch()))
                .await
                .unwrap_or(Err(Error::Timeout));
            match fetched {
                Ok(token) => {
                    token.save(&self.path);
                    self.present.send_replace(Some(token));
                    self.backoff.reset();
                    return;
                }
                Err(error) => self.wait_after(&error).await,
            }
        }
    }

    async fn wait_after(&mut self, error: &Error) {
        let wait = if matches!(error, Error::Http(control_http::Error::Refused { .. })) {
            tracing::error!("no new machine token: {error}");
            AFTER_REFUSAL
        } else {
            tracing::info!("no new machine token yet: {error}");
            self.backoff.next_wait()
        };
        self.trouble
            .send_replace(format!("this machine has no token: {error}"));
        tokio::time::sleep(wait).await;
    }

    async fn fetch(&mut self) -> Result<Token, Error> {
        let identity = &self.identity;
        let id = identity.machine_id.to_string();
        let assertion = assertion::sign(&self.key_pem, &id, &identity.issuer, now_ms() / 1000)?;
        let trust = Trust::Ca(identity.ca_pem.clone());
        let channel = control_http::dial(&identity.control_url, &trust).await?;
        let form = format!("{GRANT}&client_assertion={assertion}&client_id={id}");
        let answer: Answer = control_http::post(channel, "/oauth/token", form).await?;
        let now = now_ms();
        self.compare_clocks(answer.server_time_ms, now);
        Ok(Token {
            text: answer.access_token,
            got_ms: now,
            expires_ms: now + answer.expires_in * 1000,
        })
    }

    fn compare_clocks(&mut self, server_ms: u64, now_ms: u64) {
        if !self.has_warned && server_ms != 0 {
            self.has_warned = crate::clock::warn_if_apart("the control plane", server_ms, now_ms);
        }
    }
}
