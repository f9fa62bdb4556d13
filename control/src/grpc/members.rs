//! `MemberService`: who belongs to the caller's workspace.

use cmdop_proto::limits::{MAX_FLEETS_OF_ACCOUNT, MAX_NAME};
use cmdop_proto::token::Role;
use cmdop_proto::v1::member_service_server::MemberService;
use cmdop_proto::v1::{
    InviteRequest, InviteResponse, ListInvitationsRequest, ListInvitationsResponse,
    ListMembersRequest, ListMembersResponse, Member, RemoveMemberRequest, RemoveMemberResponse,
    RevokeInvitationRequest, RevokeInvitationResponse, SetReachRequest, SetRoleRequest,
};
use cmdop_proto::{Refusal, text, v1};
use tonic::{Request, Response, Status};

use super::fleets;
use crate::invitation;
use crate::permission::{Action, may_give};
use crate::plane::Shared;
use crate::store::{
    self, Fleet, Invitation, InviteError, MemberError, NewInvitation, Reaching, Revoked,
};

/// Members in one answer.
const PAGE: usize = 1000;

/// The service.
#[derive(Debug)]
pub(super) struct Members(pub Shared);

#[tonic::async_trait]
impl MemberService for Members {
    async fn list(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let caller = self
            .0
            .caller(request.metadata(), Action::SeeMembers)
            .await?;
        let after = &request.get_ref().after;
        // One more than a page tells whether there is another.
        let asked = caller.workspace.members_after(after, PAGE as u32 + 1).await;
        let mut members = asked.map_err(Refusal::from)?;
        let has_more = members.len() > PAGE;
        members.truncate(PAGE);
        let mut members: Vec<_> = members.into_iter().map(on_the_wire).collect();
        let reach = caller.reach().await?;
        if !reach.is_all() {
            let own = caller.workspace.fleets(&reach).await;
            let own = own.map_err(Refusal::from)?;
            for member in &mut members {
                tell_only(member, &own);
            }
        }
        Ok(Response::new(ListMembersResponse { members, has_more }))
    }

    async fn set_role(&self, request: Request<SetRoleRequest>) -> Result<Response<Member>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ManageMembers)
            .await?;
        let wanted = request.get_ref();
        let (role, by) = (role(&wanted.role)?, caller.role());
        let may = |from, to| may_give(by, Some(from), to);
        let changed = caller
            .workspace
            .set_role(&wanted.member, role, may, plane.clock.now_ms())
            .await
            .map_err(|error| refusal(error, &wanted.member))?;
        Ok(Response::new(on_the_wire(changed)))
    }

    async fn remove(
        &self,
        request: Request<RemoveMemberRequest>,
    ) -> Result<Response<RemoveMemberResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ManageMembers)
            .await?;
        let member = &request.get_ref().member;
        let by = caller.role();
        let may = |from, to| may_give(by, Some(from), to);
        caller
            .workspace
            .remove_member(member, may, plane.clock.now_ms())
            .await
            .map_err(|error| refusal(error, member))?;
        Ok(Response::new(RemoveMemberResponse {}))
    }

    async fn set_reach(
        &self,
        request: Request<SetReachRequest>,
    ) -> Result<Response<Member>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ManageMembers)
            .await?;
        let wanted = request.get_ref();
        let (reaching, by) = (reaching(&wanted.reach)?, caller.role());
        let may = |role| may_give(by, Some(role), Some(role));
        let now_ms = plane.clock.now_ms();
        let changed = caller
            .workspace
            .set_reach(&wanted.member, reaching, may, now_ms);
        let changed = changed
            .await
            .map_err(|error| refusal(error, &wanted.member))?;
        Ok(Response::new(on_the_wire(changed)))
    }

    async fn invite(
        &self,
        request: Request<InviteRequest>,
    ) -> Result<Response<InviteResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ManageMembers)
            .await?;
        let wanted = request.get_ref();
        let role = role(&wanted.role)?;
        if !may_give(caller.role(), None, Some(role)) {
            return Err(above(role.as_str()).into());
        }
        must_fit(role, &wanted.fleets)?;
        let lifetime = invitation::lifetime(wanted.lifetime_ms)?;
        let (secret, url) = invitation::new(&plane.issuer);
        let now_ms = plane.clock.now_ms();
        let new = NewInvitation {
            hash: &secret.hash(),
            role,
            note: &text::shown(&wanted.note, MAX_NAME),
            invited_by: &caller.account,
            expires_at_ms: now_ms + lifetime.as_millis() as u64,
            fleets: &wanted.fleets,
        };
        let made = caller.workspace.invite(new, now_ms).await;
        let made = made.map_err(not_invited)?;
        Ok(Response::new(InviteResponse {
            invitation: Some(invited(made)),
            url,
        }))
    }

    async fn list_invitations(
        &self,
        request: Request<ListInvitationsRequest>,
    ) -> Result<Response<ListInvitationsResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ManageMembers)
            .await?;
        let waiting = caller.workspace.invitations(plane.clock.now_ms()).await;
        let waiting = waiting.map_err(Refusal::from)?;
        Ok(Response::new(ListInvitationsResponse {
            invitations: waiting.into_iter().map(invited).collect(),
        }))
    }

    async fn revoke_invitation(
        &self,
        request: Request<RevokeInvitationRequest>,
    ) -> Result<Response<RevokeInvitationResponse>, Status> {
        let plane = &self.0;
        let caller = plane
            .caller(request.metadata(), Action::ManageMembers)
            .await?;
        let id = &request.get_ref().id;
        let by = caller.role();
        let may = |role| may_give(by, Some(role), None);
        let now_ms = plane.clock.now_ms();
        let revoked = caller.workspace.revoke_invitation(id, may, now_ms).await;
        match revoked.map_err(Refusal::from)? {
            Revoked::Done => Ok(Response::new(RevokeInvitationResponse {})),
            Revoked::Above => Err(above("that invitation's role").into()),
            Revoked::Unknown => {
                let shown = text::shown(id, MAX_NAME);
                let unknown = format!("there is no invitation {shown}");
                Err(Refusal::not_found("invitation-unknown", unknown)
                    .hint("`cmdop members invitations` lists them")
                    .into())
            }
        }
    }
}

fn role(word: &str) -> Result<Role, Refusal> {
    Role::parse(word).ok_or_else(|| {
        let word = text::shown(word, MAX_NAME);
        Refusal::invalid("bad-request", format!("`{word}` is not a role"))
            .hint("it is one of owner, admin, member, guest")
    })
}

fn reaching(word: &str) -> Result<Reaching, Refusal> {
    Reaching::parse(word).ok_or_else(|| {
        let word = text::shown(word, MAX_NAME);
        Refusal::invalid("bad-request", format!("`{word}` is not a reach"))
            .hint("it is all, or fleets")
    })
}

/// Whether somebody with that role can be kept to that many fleets.
fn must_fit(role: Role, fleets: &[String]) -> Result<(), Refusal> {
    if !fleets.is_empty() && role.can_govern() {
        let wrong = format!(
            "an {} reaches every machine of the workspace",
            role.as_str()
        );
        return Err(Refusal::invalid("bad-request", wrong)
            .hint("invite a member or a guest, or name no fleet"));
    }
    if fleets.len() > MAX_FLEETS_OF_ACCOUNT {
        let wrong = format!("an account is a member of at most {MAX_FLEETS_OF_ACCOUNT} fleets");
        return Err(Refusal::exhausted("too-many-fleets", wrong));
    }
    Ok(())
}

fn not_invited(error: InviteError) -> Refusal {
    match error {
        InviteError::TooMany => Refusal::exhausted("too-many-invitations", error.to_string())
            .hint("revoke some: `cmdop members invitations`"),
        InviteError::Fleet { name, error } => fleets::refusal(error, &name),
        InviteError::Store(error) => error.into(),
    }
}

fn on_the_wire(member: store::Member) -> Member {
    let account = member.account;
    Member {
        id: account.id.to_string(),
        name: account.name,
        reach: if account.role.can_govern() {
            Reaching::All
        } else {
            member.reaching
        }
        .as_str()
        .to_owned(),
        role: account.role.as_str().to_owned(),
        disabled: account.is_disabled,
        created_at_ms: account.created_at_ms,
        fleets: member.fleets,
    }
}

/// What somebody who knows of these fleets only may see of a member.
fn tell_only(member: &mut Member, known: &[Fleet]) {
    member.reach.clear();
    let is_known = |name: &String| known.iter().any(|fleet| fleet.name == *name);
    member.fleets.retain(is_known);
}

fn invited(invitation: Invitation) -> v1::Invitation {
    v1::Invitation {
        id: invitation.id,
        role: invitation.role.as_str().to_owned(),
        note: invitation.note,
        invited_by: invitation.invited_by,
        created_at_ms: invitation.created_at_ms,
        expires_at_ms: invitation.expires_at_ms,
        fleets: invitation.fleets,
    }
}

fn above(what: &str) -> Refusal {
    Refusal::denied("role-too-low", format!("{what} is above your own role"))
        .hint("ask an owner of the workspace")
}

/// Why a member was not changed, in words.
pub(crate) fn refusal(error: MemberError, member: &str) -> Refusal {
    let member = text::shown(member, MAX_NAME);
    match error {
        MemberError::Unknown => {
            Refusal::not_found("member-unknown", format!("there is no member {member}"))
                .hint("`cmdop members` lists them")
        }
        MemberError::LastOwner => Refusal::invalid(
            "last-owner",
            format!("{member} is the last owner of the workspace"),
        )
        .hint("make somebody else an owner first"),
        MemberError::Above => above(&format!("what you ask for {member}")),
        MemberError::Store(error) => error.into(),
    }
}
