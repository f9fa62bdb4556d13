//! `AccountService`: who the bearer is.

use cmdop_proto::v1::account_service_server::AccountService;
use cmdop_proto::v1::{WhoAmIRequest, WhoAmIResponse};
use tonic::{Request, Response, Status};

use cmdop_proto::Refusal;

use crate::permission::Action;
use crate::plane::Shared;

/// The service.
#[derive(Debug)]
pub(super) struct Accounts(pub Shared);

#[tonic::async_trait]
impl AccountService for Accounts {
    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<WhoAmIResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::KnowOneself)
            .await?;
        let name = caller.workspace.name().await.map_err(Refusal::from)?;
        Ok(Response::new(WhoAmIResponse {
            account_id: caller.account.id.to_string(),
            account_name: caller.account.name,
            workspace_id: caller.workspace.id().to_string(),
            workspace_name: name.unwrap_or_default(),
            role: caller.account.role.as_str().to_owned(),
            relay_urls: plane.store.relay_urls().await.map_err(Refusal::from)?,
            now_ms: plane.clock.now_ms(),
        }))
    }
}
