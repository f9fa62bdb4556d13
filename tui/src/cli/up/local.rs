//! The login of `up`'s own user: no prompt, and the same token endpoint as everybody else's.

use cmdop_client::dial::Trust;
use cmdop_client::oauth::{self, Server};
use cmdop_client::token_store::Secret;
use cmdop_client::{Connection, Error, Profiles, account};
use cmdop_proto::v1;
use cmdop_service::private_file;

use super::place::{Place, Program, State};
use super::steps;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::login::{self, Login};

/// The profile that `up` makes, unless another is asked for.
const PROFILE: &str = "local";

/// A connection of a profile that is logged in at this control plane, and who it is.
pub(super) async fn log_in(
    context: &Context,
    place: &Place,
    state: &mut State,
) -> Result<(Connection, v1::WhoAmIResponse), Failure> {
    let url = control_url(state);
    let name = context
        .globals
        .profile
        .clone()
        .unwrap_or_else(|| PROFILE.to_owned());
    if let Some((connection, me)) = present(context, &name, &url).await? {
        return Ok((connection, me));
    }
    let ca_file = place.data_dir(Program::Control).join("ca.pem");
    let ca = std::fs::read_to_string(&ca_file).map_err(|error| {
        let file = ca_file.display();
        Failure::unavailable(
            "unreachable",
            format!("cannot read the CA of the control plane, {file}: {error}"),
        )
    })?;
    let trust = Trust::Ca(ca);
    let server = Server::new(&url, &trust)?;
    let grant = grant(place, state, &server).await?;
    let login = Login {
        name,
        url,
        trust,
        key: Secret::default(),
    };
    let profile = login::remember(context, login, grant).await?;
    state.owner.clone_from(&profile.account);
    state.profile.clone_from(&profile.name);
    state.save(place)?;
    let connection = Connection::new(context.home(), &profile);
    let me = account::whoami(&connection).await?;
    Ok((connection, me))
}

/// Takes over relays that the control plane has learnt of since the login.
pub(super) async fn refresh_relays(
    context: &Context,
    connection: &Connection,
) -> Result<Connection, Failure> {
    let me = account::whoami(connection).await?;
    let mut profile = connection.profile().clone();
    if profile.relay_urls == me.relay_urls {
        return Ok(connection.clone());
    }
    profile.relay_urls = me.relay_urls;
    let mut profiles = Profiles::load(context.home())?;
    profiles.put(profile.clone())?;
    profiles.save(context.home())?;
    Ok(Connection::new(context.home(), &profile))
}

/// `https://` and the address that the control plane announced.
pub(super) fn control_url(state: &State) -> String {
    let address = state
        .get(Program::Control)
        .map_or("", |running| &running.address);
    format!("https://{address}")
}

/// The profile if it is for this control plane and its login is good.
async fn present(
    context: &Context,
    name: &str,
    url: &str,
) -> Result<Option<(Connection, v1::WhoAmIResponse)>, Failure> {
    let profiles = Profiles::load(context.home())?;
    let Some(profile) = profiles.get(name) else {
        return Ok(None);
    };
    if profile.control_url != url {
        let other = &profile.control_url;
        return Err(Failure::usage(format!(
            "the profile `{name}` is for another server, {other}"
        ))
        .hint("name another profile: `cmdop --profile NAME up`, or log out of that one"));
    }
    let connection = Connection::new(context.home(), profile);
    match account::whoami(&connection).await {
        Ok(me) => Ok(Some((connection, me))),
        Err(Error::NotLoggedIn { .. }) => Ok(None),
        Err(error) if error.exit_code() == 77 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// With the secret of the first start, or else with one that the owner of the database may make.
async fn grant(place: &Place, state: &State, server: &Server) -> Result<oauth::Grant, Failure> {
    let data_dir = place.data_dir(Program::Control);
    match private_file::read(&data_dir.join("owner-login")) {
        Ok(secret) => match server.local_secret(&Secret::new(secret)).await {
            Err(error) if error.is_void() => {}
            granted => return Ok(granted?),
        },
        Err(error) if error.is_missing() => {}
        Err(error) => return Err(Failure::usage(error.to_string())),
    }
    let owner = owner(place, state).await?;
    let secret = steps::admin(place, &["login-secret", &owner]).await?;
    Ok(server.local_secret(&Secret::new(secret)).await?)
}

/// The account that logged in before, or the first owner in the database.
async fn owner(place: &Place, state: &State) -> Result<String, Failure> {
    #[derive(serde::Deserialize)]
    struct Account {
        name: String,
        role: String,
    }
    if !state.owner.is_empty() {
        return Ok(state.owner.clone());
    }
    let listed = steps::admin(place, &["accounts", "--json"]).await?;
    let accounts: Vec<Account> = serde_json::from_str(&listed).map_err(|error| {
        Failure::internal(format!("the list of accounts is not readable: {error}"))
    })?;
    accounts
        .into_iter()
        .find(|account| account.role == "owner")
        .map(|account| account.name)
        .ok_or_else(|| Failure::unavailable("not-logged-in", "the control plane has no owner"))
}
