//! `CatalogueService`: every session that there was in the caller's workspace.

use cmdop_proto::limits::MAX_NAME;
use cmdop_proto::v1::catalogue_service_server::CatalogueService;
use cmdop_proto::v1::{
    GetCatalogueRequest, GetCatalogueResponse, ListCatalogueRequest, ListCatalogueResponse,
};
use cmdop_proto::{Refusal, SessionId, text};
use tonic::{Request, Response, Status};

use crate::permission::Action;
use crate::plane::Shared;
use crate::store::{After, SessionFilter};

/// The service.
#[derive(Debug)]
pub(super) struct Catalogue(pub Shared);

#[tonic::async_trait]
impl CatalogueService for Catalogue {
    async fn list(
        &self,
        request: Request<ListCatalogueRequest>,
    ) -> Result<Response<ListCatalogueResponse>, Status> {
        let caller = self
            .0
            .caller(request.metadata(), Action::SeeSessions)
            .await?;
        let asked = request.into_inner();
        let after = match asked.page.as_str() {
            "" => None,
            page => Some(After::read(page).ok_or_else(|| {
                Refusal::invalid("bad-request", "the page is not one of this listing's")
            })?),
        };
        let filter = SessionFilter {
            machine: asked.machine,
            status: asked.status,
            created_by: asked.created_by,
            since_ms: asked.since_ms,
            until_ms: asked.until_ms,
            reach: caller.reach().await?,
        };
        let page = caller
            .workspace
            .sessions(&filter, after.as_ref(), asked.limit)
            .await;
        let (sessions, next) = page.map_err(Refusal::from)?;
        Ok(Response::new(ListCatalogueResponse {
            sessions,
            next_page: next.map(|next| next.text()).unwrap_or_default(),
        }))
    }

    async fn get(
        &self,
        request: Request<GetCatalogueRequest>,
    ) -> Result<Response<GetCatalogueResponse>, Status> {
        let caller = self
            .0
            .caller(request.metadata(), Action::SeeSessions)
            .await?;
        let id = &request.get_ref().session_id;
        let found = match id.parse::<SessionId>() {
            Ok(id) => {
                let reach = caller.reach().await?;
                let found = caller.workspace.session(id, &reach).await;
                found.map_err(Refusal::from)?
            }
            Err(_) => None,
        };
        let (session, history) = found.ok_or_else(|| {
            let shown = text::shown(id, MAX_NAME);
            Refusal::not_found("session-unknown", format!("there was no session {shown}"))
        })?;
        Ok(Response::new(GetCatalogueResponse {
            session: Some(session),
            history,
        }))
    }
}
