//! `KeyService`: API keys, those of the caller and, for who may, those of others.

use cmdop_proto::limits::MAX_NAME;
use cmdop_proto::scope::{Scope, Scopes};
use cmdop_proto::v1::key_service_server::KeyService;
use cmdop_proto::v1::{
    IssueKeyRequest, IssueKeyResponse, ListKeysRequest, ListKeysResponse, RevokeKeyRequest,
    RevokeKeyResponse,
};
use cmdop_proto::{Refusal, text, v1};
use tonic::{Request, Response, Status};

use super::bearer::Caller;
use crate::api_key;
use crate::names;
use crate::permission::Action;
use crate::plane::Shared;
use crate::store::{ApiKey, NewKey};

/// Keys that ended are listed for this long.
const LISTED_AFTER_END_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// The service.
#[derive(Debug)]
pub(super) struct Keys(pub Shared);

#[tonic::async_trait]
impl KeyService for Keys {
    async fn issue(
        &self,
        request: Request<IssueKeyRequest>,
    ) -> Result<Response<IssueKeyResponse>, Status> {
        let plane = &self.0;
        let caller = plane.caller(request.metadata(), Action::OwnKeys).await?;
        let wanted = request.get_ref();
        let scopes = scopes(&wanted.scopes)?;
        must_hold(&caller, scopes)?;
        let (key, hash, prefix) = api_key::new();
        let now_ms = plane.clock.now_ms();
        let lifetime = (wanted.lifetime_ms > 0).then_some(wanted.lifetime_ms);
        let new = NewKey {
            hash: &hash,
            prefix: &prefix,
            name: names::key(&wanted.name)?,
            scopes,
            issued_by: caller.key,
            // What lies beyond what the database can count is for ever.
            expires_at_ms: lifetime.and_then(|ms| {
                let end = now_ms.checked_add(ms)?;
                i64::try_from(end).is_ok().then_some(end)
            }),
        };
        let made = caller.workspace.add_key(&caller.account, new, now_ms).await;
        Ok(Response::new(IssueKeyResponse {
            key: Some(on_the_wire(made.map_err(Refusal::from)?)),
            secret: key.expose().to_owned(),
        }))
    }

    async fn list(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let plane = &self.0;
        let action = if request.get_ref().of_everybody {
            Action::KeysOfOthers
        } else {
            Action::OwnKeys
        };
        let caller = plane.caller(request.metadata(), action).await?;
        let of = (action == Action::OwnKeys).then_some(caller.account.id);
        let since = plane.clock.now_ms().saturating_sub(LISTED_AFTER_END_MS);
        let keys = caller.workspace.keys(of, since).await;
        Ok(Response::new(ListKeysResponse {
            keys: keys
                .map_err(Refusal::from)?
                .into_iter()
                .map(on_the_wire)
                .collect(),
        }))
    }

    async fn revoke(
        &self,
        request: Request<RevokeKeyRequest>,
    ) -> Result<Response<RevokeKeyResponse>, Status> {
        let plane = &self.0;
        let caller = plane.caller(request.metadata(), Action::OwnKeys).await?;
        let own_only = !caller.also_may(Action::KeysOfOthers);
        let of = own_only.then_some(caller.account.id);
        let key = &request.get_ref().key;
        let revoked = caller
            .workspace
            .revoke_key(key, of, plane.clock.now_ms())
            .await;
        match revoked {
            Ok(_) => Ok(Response::new(RevokeKeyResponse {})),
            Err(crate::store::KeyError::Unknown) => {
                let shown = text::shown(key, MAX_NAME);
                let unknown = format!("there is no key {shown}");
                Err(Refusal::not_found("key-unknown", unknown)
                    .hint("`cmdop keys` lists them")
                    .into())
            }
            Err(error) => Err(Refusal::from(error).into()),
        }
    }
}

fn scopes(words: &[String]) -> Result<Scopes, Refusal> {
    let known = Scope::ALL.map(Scope::as_str).join(", ");
    let unknown = |word: &str| {
        let word = text::shown(word, MAX_NAME);
        Refusal::invalid("bad-request", format!("`{word}` is not a scope"))
            .hint(format!("it is one of {known}"))
    };
    if words.is_empty() {
        let none = "a key without a scope could do nothing";
        return Err(Refusal::invalid("bad-request", none).hint(format!("give some of {known}")));
    }
    words
        .iter()
        .map(|word| Scope::parse(word).ok_or_else(|| unknown(word)))
        .collect()
}

/// A key gives nothing that its issuer's own token does not have.
fn must_hold(caller: &Caller<'_>, scopes: Scopes) -> Result<(), Refusal> {
    match caller.scopes {
        Some(own) if !own.contains_all(scopes) => Err(Refusal::denied(
            "scope-missing",
            "a key cannot have a scope that this token does not have",
        )
        .hint("issue it after `cmdop login`")),
        _ => Ok(()),
    }
}

fn on_the_wire(key: ApiKey) -> v1::ApiKey {
    v1::ApiKey {
        id: key.id.to_string(),
        name: key.name,
        prefix: key.prefix,
        scopes: key.scopes.iter().map(|s| s.as_str().to_owned()).collect(),
        account_name: key.account_name,
        created_at_ms: key.created_at_ms,
        expires_at_ms: key.expires_at_ms.unwrap_or_default(),
        last_used_at_ms: key.last_used_at_ms.unwrap_or_default(),
        revoked_at_ms: key.revoked_at_ms.unwrap_or_default(),
    }
}
