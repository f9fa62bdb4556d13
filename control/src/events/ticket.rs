//! Who holds a connection, and what they may hear: the token that they came with, and the account as it was
//! then. What changes about either revokes the token, and with it the connection.

use cmdop_proto::scope::Scopes;
use cmdop_proto::token::{Bearer, Claims, Role};
use cmdop_proto::{ErrorKind, LoginId, Reach, Refusal, WorkspaceId};

use super::code::{End, Fault};
use crate::api_key;
use crate::permission::{self, Action};
use crate::plane::ControlPlane;
use crate::store::{Account, Actor, Revocation};

/// Somebody who is known.
#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    claims: Claims,
    account: Account,
    /// The key that was shown, or that the token came from.
    key: Option<LoginId>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTicket {
    /// The token is over: another of the same login or key may do.
    Over,
    /// No token of that kind will ever do.
    Invalid,
    /// Nobody knows: it is our fault.
    Internal,
}

impl NoTicket {
    fn of(refusal: &Refusal) -> Self {
        match (refusal.kind, refusal.reason.as_str()) {
            (_, "token-expired" | "token-revoked") => Self::Over,
            (ErrorKind::Internal | ErrorKind::Unavailable, _) => Self::Internal,
            _ => Self::Invalid,
        }
    }

    /// What `connect` is answered with, or how the connection ends.
    pub(crate) fn on_connect(self) -> Result<Fault, End> {
        match self {
            Self::Over => Ok(Fault::TokenExpired),
            Self::Internal => Ok(Fault::Internal),
            Self::Invalid => Err(End::InvalidToken),
        }
    }

    /// The same of `refresh`.
    pub(crate) fn on_refresh(self) -> Result<Fault, End> {
        match self {
            Self::Over => Ok(Fault::Expired),
            other => other.on_connect(),
        }
    }
}

impl ControlPlane {
    /// Who comes with this token, or API key.
    pub(crate) async fn ticket(&self, token: &str) -> Result<Ticket, NoTicket> {
        let read = if token.starts_with(api_key::PREFIX) {
            self.ticket_of_key(token).await
        } else {
            self.ticket_of_token(token).await
        };
        read.map_err(|refusal| NoTicket::of(&refusal))
    }

    async fn ticket_of_token(&self, token: &str) -> Result<Ticket, Refusal> {
        let claims = self.claims_of(token, Bearer::Account).await?;
        let (_, account) = self.account_of(&claims).await?;
        Ok(Ticket {
            // Only what a key is exchanged for names scopes.
            key: claims.scope.and(claims.sid),
            claims,
            account,
        })
    }

    /// A key is as good as the token that it would be exchanged for, and does not run out in minutes.
    async fn ticket_of_key(&self, key: &str) -> Result<Ticket, Refusal> {
        let (workspace, login) = self.key_login(key).await?;
        let account = login.account;
        let subject = account.id.to_string();
        let mut claims = self.claims(Bearer::Account, subject, &account.name);
        claims.wid = workspace.id();
        claims.scope = Some(login.scopes);
        let end = login.expires_at_ms;
        claims.exp = end.map_or(i64::MAX, |ms| (ms / 1000) as i64);
        self.settle(&mut claims, account.id, login.id).await?;
        Ok(Ticket {
            key: Some(login.id),
            claims,
            account,
        })
    }
}

impl Ticket {
    /// The only workspace of which it hears.
    pub(crate) fn workspace(&self) -> WorkspaceId {
        self.claims.wid
    }

    /// Which machines it may hear of. What takes one of them revokes the token.
    pub(crate) fn reach(&self) -> &Reach {
        &self.claims.reach
    }

    /// Whose it is.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// What it is checked for revocation by.
    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    fn role(&self) -> Role {
        self.account.role
    }

    fn scopes(&self) -> Option<Scopes> {
        self.claims.scope
    }

    /// Whether its holder may.
    pub(crate) fn may(&self, action: Action) -> bool {
        permission::check(action, self.role(), self.scopes()).is_ok()
    }

    /// Its holder, as the audit log names them.
    pub(crate) fn actor(&self) -> Actor {
        match self.key {
            Some(key) => Actor::new("key", key, &self.account.name),
            None => self.account.actor(),
        }
    }

    /// Whether another ticket is of the same account in the same workspace.
    pub(crate) fn is_same_holder(&self, other: &Self) -> bool {
        self.account.id == other.account.id && self.workspace() == other.workspace()
    }

    /// Seconds until it is over; nothing: never.
    pub(crate) fn lives_s(&self, now_s: i64) -> Option<u64> {
        let is_endless = self.claims.exp == i64::MAX;
        (!is_endless).then(|| self.claims.exp.saturating_sub(now_s).max(0) as u64)
    }

    /// Whether that revocation means it.
    pub(crate) fn is_hit_by(&self, revocation: &Revocation) -> bool {
        let login = self.claims.sid.map(|sid| sid.to_string());
        let is_named = match revocation.claim.as_str() {
            "sub" => revocation.value == self.claims.sub,
            "sid" => login.as_deref() == Some(revocation.value.as_str()),
            "jti" => revocation.value == self.claims.jti,
            _ => false,
        };
        let issued_ms = self.claims.iat.saturating_mul(1000).max(0) as u64;
        is_named && issued_ms <= revocation.issued_until_ms
    }
}
