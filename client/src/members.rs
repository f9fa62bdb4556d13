//! The members of the workspace and its invitations.

use std::time::Duration;

use cmdop_proto::token::Role;
use cmdop_proto::v1;

use crate::connection::{Connection, Repeat, Target};
use crate::error::Error;

/// All members, by name.
pub async fn list(connection: &Connection) -> Result<Vec<v1::Member>, Error> {
    let mut members: Vec<v1::Member> = Vec::new();
    loop {
        let after = members.last().map(|member| member.name.clone());
        let page = connection
            .call(
                Target::Control,
                "listing members",
                Repeat::Harmless,
                v1::ListMembersRequest {
                    after: after.unwrap_or_default(),
                },
                |control, request| async move { control.members().list(request).await },
            )
            .await?;
        // A server that says so without a member would be asked the same for ever.
        let has_more = page.has_more && !page.members.is_empty();
        members.extend(page.members);
        if !has_more {
            return Ok(members);
        }
    }
}

/// Gives a member another role. Needs an admin, and no role above the caller's is given or taken.
pub async fn set_role(
    connection: &Connection,
    member: &str,
    role: Role,
) -> Result<v1::Member, Error> {
    let request = v1::SetRoleRequest {
        member: member.to_owned(),
        role: role.as_str().to_owned(),
    };
    connection
        .call(
            Target::Control,
            "setting the role",
            Repeat::Harmless,
            request,
            |control, request| async move { control.members().set_role(request).await },
        )
        .await
}

/// Removes a member, with logins and keys. Needs an admin.
pub async fn remove(connection: &Connection, member: &str) -> Result<(), Error> {
    let request = v1::RemoveMemberRequest {
        member: member.to_owned(),
    };
    connection
        .call(
            Target::Control,
            "removing the member",
            Repeat::Never,
            request,
            |control, request| async move { control.members().remove(request).await },
        )
        .await
        .map(drop)
}

/// Sets which machines a member reaches: `all`, or those of its `fleets`. Needs an admin.
pub async fn set_reach(
    connection: &Connection,
    member: &str,
    reach: &str,
) -> Result<v1::Member, Error> {
    let request = v1::SetReachRequest {
        member: member.to_owned(),
        reach: reach.to_owned(),
    };
    connection
        .call(
            Target::Control,
            "setting the reach",
            Repeat::Harmless,
            request,
            |control, request| async move { control.members().set_reach(request).await },
        )
        .await
}

/// Makes a link with which one person can join; with fleets, as a member of those who reaches their machines only.
/// Needs an admin.
pub async fn invite(
    connection: &Connection,
    role: Role,
    lifetime: Duration,
    note: &str,
    fleets: &[String],
) -> Result<v1::InviteResponse, Error> {
    let request = v1::InviteRequest {
        role: role.as_str().to_owned(),
        lifetime_ms: lifetime.as_millis() as u64,
        note: note.to_owned(),
        fleets: fleets.to_vec(),
    };
    connection
        .call(
            Target::Control,
            "making an invitation",
            Repeat::Never,
            request,
            |control, request| async move { control.members().invite(request).await },
        )
        .await
}

/// The invitations that can still be used. Needs an admin.
pub async fn invitations(connection: &Connection) -> Result<Vec<v1::Invitation>, Error> {
    let response = connection
        .call(
            Target::Control,
            "listing invitations",
            Repeat::Harmless,
            v1::ListInvitationsRequest {},
            |control, request| async move { control.members().list_invitations(request).await },
        )
        .await?;
    Ok(response.invitations)
}

/// Takes an invitation back. Needs an admin.
pub async fn revoke_invitation(connection: &Connection, id: &str) -> Result<(), Error> {
    let request = v1::RevokeInvitationRequest { id: id.to_owned() };
    connection
        .call(
            Target::Control,
            "revoking the invitation",
            Repeat::Never,
            request,
            |control, request| async move { control.members().revoke_invitation(request).await },
        )
        .await
        .map(drop)
}
