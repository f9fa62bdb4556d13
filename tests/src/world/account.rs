//! A person of a world: an account with a role, and a home with a logged-in profile.

use std::path::{Path, PathBuf};

use cmdop_client::dial::Trust;
use cmdop_client::home::{Home, Keyring};
use cmdop_client::oauth::Server;
use cmdop_client::profile::StoreKind;
use cmdop_client::token_store::{self, Secret, Stored};
use cmdop_client::{Connection, Profile, Profiles};

use super::{Control, Ground, Relay};
use crate::cli::Cli;
use crate::person::Person;
use crate::pty::Shape;

/// The profile of every account of a world.
const PROFILE: &str = "world";

/// Somebody with an account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Their command line.
    pub cli: Cli,
    name: String,
    home: PathBuf,
}

impl Account {
    /// The account that the control plane makes at its first start; not logged in yet.
    pub fn owner(ground: &Ground, _control: &Control) -> Self {
        Self::new(ground, "owner")
    }

    /// Somebody called `name`, not logged in yet.
    pub fn new(ground: &Ground, name: &str) -> Self {
        let home = ground.path().join("people").join(name);
        Self {
            cli: ground.cli(name),
            name: name.to_owned(),
            home,
        }
    }

    /// The account's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory with this person's profiles and tokens.
    pub fn client_directory(&self) -> PathBuf {
        self.home.join("client")
    }

    /// Logs in with a one-time secret, by the same endpoint as everybody.
    pub async fn log_in(&self, control: &Control, relay: &Relay) {
        let secret = self.secret(control).await;
        let trust = Trust::Ca(control.ca_pem());
        let server = Server::new(&control.url(), &trust).expect("a usable CA");
        let grant = server
            .local_secret(&Secret::new(secret))
            .await
            .expect("the secret is good");
        let profile = Profile {
            name: PROFILE.into(),
            control_url: control.url(),
            relay_urls: vec![relay.url()],
            account: self.name.clone(),
            workspace: "default".into(),
            token_store: StoreKind::File,
            ca_pem: control.ca_pem(),
        };
        let home = self.home();
        let mut profiles = Profiles::default();
        profiles.put(profile.clone()).expect("a good name");
        profiles
            .save(&home)
            .expect("the home of a test can be written");
        let stored = grant.stored(Secret::default());
        token_store::save(&home, &profile, &stored)
            .await
            .expect("the home of a test can be written");
    }

    async fn secret(&self, control: &Control) -> String {
        let file = control.data().join("owner-login");
        if self.name == "owner" && file.exists() {
            return std::fs::read_to_string(file).expect("the owner's secret can be read");
        }
        control.admin(&["login-secret", &self.name]).await.ok()
    }

    /// The client's view of this person's home.
    pub fn home(&self) -> Home {
        Home::new(self.client_directory(), Keyring::Avoided)
    }

    /// The logged-in profile.
    pub fn profile(&self) -> Profile {
        let profiles = Profiles::load(&self.home()).expect("the account is logged in");
        profiles
            .get(PROFILE)
            .expect("the account is logged in")
            .clone()
    }

    /// From now on this person's programs reach the relay at another address.
    pub fn use_relay(&self, url: &str) {
        let home = self.home();
        let mut profiles = Profiles::load(&home).expect("the account is logged in");
        let mut profile = self.profile();
        profile.relay_urls = vec![url.to_owned()];
        profiles.put(profile).expect("a good name");
        profiles
            .save(&home)
            .expect("the home of a test can be written");
    }

    /// The SDK's connection of this person.
    pub fn connection(&self) -> Connection {
        Connection::new(&self.home(), &self.profile())
    }

    /// The tokens as they lie in the store.
    pub async fn stored(&self) -> Stored {
        let stored = token_store::load(&self.home(), &self.profile()).await;
        stored
            .expect("the tokens can be read")
            .expect("the account is logged in")
    }

    /// Replaces the tokens in the store.
    pub async fn store(&self, stored: &Stored) {
        token_store::save(&self.home(), &self.profile(), stored)
            .await
            .expect("the tokens can be written");
    }

    /// Replaces the access token only, as if it were good for an hour.
    pub async fn use_access_token(&self, token: &str) {
        let mut stored = self.stored().await;
        stored.access_token = Secret::new(token);
        stored.access_expires_at_ms = cmdop_client::clock::now_ms() + 3_600_000;
        self.store(&stored).await;
    }

    /// The file that holds the tokens.
    pub fn tokens_file(&self) -> PathBuf {
        self.home().tokens_file(PROFILE)
    }

    /// The access token as it goes over the wire.
    pub async fn access_token(&self) -> String {
        self.stored().await.access_token.expose().to_owned()
    }

    /// A person of this account who runs `cmdop` with `args` on a terminal of their own.
    pub fn at_a_terminal(&self, args: &[&str]) -> Person {
        Person::running(&self.cli, args, Shape::default())
    }

    /// The same on a terminal of another shape.
    pub fn at_a_terminal_of(&self, shape: Shape, args: &[&str]) -> Person {
        Person::running(&self.cli, args, shape)
    }

    /// The home directory of this account's programs.
    pub fn directory(&self) -> &Path {
        &self.home
    }
}
