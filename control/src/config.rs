//! What the control plane was told: the file, and the flags laid over it.
//!
//! A [`Config`] is complete and consistent; nothing after it looks at a flag or a file again.

mod keep;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use cmdop_proto::text;
use cmdop_service::telemetry::LogFormat;
use cmdop_service::{config, data_dir, private_file};
use serde::Deserialize;

use crate::args::ServeFlags;
use crate::bootstrap::owner_from_system;
use crate::clock::Clock;
use crate::names;
use crate::oauth::may_be_configured;
use crate::oidc;
use crate::secret::Secret;
use crate::store::{self, Database, DatabaseUrl};

pub use keep::Keep;

/// Where it listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7443);

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    listen: Option<SocketAddr>,
    data_dir: Option<PathBuf>,
    database: Option<String>,
    public_url: Option<String>,
    log_format: Option<LogFormat>,
    owner: Option<String>,
    keep_sessions: Option<String>,
    keep_audit: Option<String>,
    metrics_listen: Option<SocketAddr>,
    allow_origin: Vec<String>,
    redirect_uris: Vec<String>,
    oidc: Option<OidcFile>,
}

/// Another provider of identity, as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OidcFile {
    issuer: String,
    name: Option<String>,
    client_id: String,
    client_secret_file: PathBuf,
    ca_file: Option<PathBuf>,
}

/// Everything that is needed to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where state is kept.
    pub data_dir: PathBuf,
    /// The PostgreSQL server that keeps the facts; without one, a file in `data_dir` does.
    pub database: Option<DatabaseUrl>,
    /// How the world reaches it; without one, the address that it listens on.
    pub public_url: Option<PublicUrl>,
    /// The name of the account that the first start makes.
    pub owner: Option<String>,
    /// How long records are kept.
    pub keep: Keep,
    /// Where Prometheus reads its metrics (plain HTTP); without it, nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// The origins of pages, besides its own, that may hear events: `https://host:port`.
    pub allowed_origins: Vec<String>,
    /// Where programs may be answered besides on the computer of their person.
    pub redirect_uris: Vec<String>,
    /// Another provider of identity, at which people may log in.
    pub oidc: Option<oidc::Settings>,
    /// The keys that seal secrets in the database, in base64; without them, a file in `data_dir` has some.
    pub secrets_key: Option<Secret>,
    /// What time it is; tests hold a clone and set it forward.
    pub clock: Clock,
}

/// Why the configuration makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error(transparent)]
    File(#[from] config::Error),
    /// No place for state.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// The database's URL.
    #[error(transparent)]
    Database(#[from] store::OpenError),
    /// The public URL.
    #[error("`{url}` cannot be the public URL: it has the form https://host or https://host:port")]
    PublicUrl {
        /// What was given.
        url: String,
    },
    /// How long something is to be kept.
    #[error(transparent)]
    Keep(#[from] keep::Error),
    /// An origin.
    #[error(
        "`{origin}` cannot be the origin of a page: it has the form https://host or http://host:port"
    )]
    Origin {
        /// What was given.
        origin: String,
    },
    /// Where programs are to be answered.
    #[error("`{uri}` cannot be a redirect URI: it has the form https://host/path")]
    RedirectUri {
        /// What was given.
        uri: String,
    },
    /// The identity provider's address.
    #[error("`{issuer}` cannot be an identity provider's issuer: it is an https address")]
    Issuer {
        /// What was given.
        issuer: String,
    },
    /// Our secret at the identity provider.
    #[error(transparent)]
    ClientSecret(#[from] private_file::Error),
    /// The owner's name.
    #[error("`{name}` cannot be the owner's name: {hint}")]
    Owner {
        /// What was given.
        name: String,
        /// What can.
        hint: String,
    },
}

impl Config {
    /// The defaults, with state in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            data_dir: data_dir.into(),
            database: None,
            public_url: None,
            owner: None,
            keep: Keep::default(),
            metrics_listen: None,
            allowed_origins: Vec::new(),
            redirect_uris: Vec::new(),
            oidc: None,
            secrets_key: None,
            clock: Clock::default(),
        }
    }

    /// Reads the file that `flags` name and lays the flags over it. `user` is the operating system's
    /// name for who starts it: the owner's name unless one is given.
    pub fn load(flags: &ServeFlags, user: Option<String>) -> Result<(Self, LogFormat), Error> {
        let file: File = config::load(flags.config.as_deref())?;
        let public_url = flags.public_url.clone().or(file.public_url);
        let database = flags.database.as_deref().or(file.database.as_deref());
        let owner = flags.owner.clone().or(file.owner);
        let keep_sessions = flags.keep_sessions.clone().or(file.keep_sessions);
        let keep_audit = flags.keep_audit.clone().or(file.keep_audit);
        let config = Self {
            listen: flags.listen.or(file.listen).unwrap_or(DEFAULT_LISTEN),
            data_dir: directory(flags.data_dir.as_deref().or(file.data_dir.as_deref()))?,
            database: database.map(DatabaseUrl::parse).transpose()?,
            public_url: public_url.map(|url| PublicUrl::parse(&url)).transpose()?,
            owner: match owner {
                Some(name) => Some(checked_owner(name)?),
                None => owner_from_system(user),
            },
            keep: Keep::read(keep_sessions.as_deref(), keep_audit.as_deref())?,
            metrics_listen: flags.metrics_listen.or(file.metrics_listen),
            allowed_origins: allowed_origins(flags, &file.allow_origin)?,
            redirect_uris: checked_redirects(file.redirect_uris)?,
            oidc: file.oidc.map(OidcFile::read).transpose()?,
            secrets_key: flags.secrets_key.clone(),
            clock: Clock::default(),
        };
        let log_format = flags.log_format.or(file.log_format).unwrap_or_default();
        Ok((config, log_format))
    }
}

/// Where state is kept: what was named, or the platform's place, where `cmdop up` keeps it too. A control plane
/// that was started where a former version put it by default goes on there, whatever else there is.
pub fn directory(named: Option<&Path>) -> Result<PathBuf, data_dir::Error> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let former = data_dir::default_path("control")?;
    if former.join("ca.pem").exists() {
        return Ok(former);
    }
    data_dir::default_path("cmdop-control")
}

/// Those of the command line, or of the file where it has none.
fn allowed_origins(flags: &ServeFlags, file: &[String]) -> Result<Vec<String>, Error> {
    let given = match flags.allow_origin.as_slice() {
        [] => file,
        given => given,
    };
    given.iter().map(|origin| checked_origin(origin)).collect()
}

/// As a browser writes it (RFC 6454, section 6.1). A page that is being worked on may come without TLS.
fn checked_origin(given: &str) -> Result<String, Error> {
    let wrong = || Error::Origin {
        origin: text::shown(given, 128),
    };
    let (scheme, host) = given.split_once("://").ok_or_else(wrong)?;
    if !matches!(scheme, "https" | "http") {
        return Err(wrong());
    }
    let url = PublicUrl::parse(&format!("https://{host}")).map_err(|_| wrong())?;
    Ok(url.as_str().replacen("https", scheme, 1))
}

/// The database's file in the data directory.
pub(crate) const DATABASE: &str = "control.db";

/// Where the facts are kept: on the server that was named, or in the data directory.
pub fn database(data_dir: &Path, named: Option<DatabaseUrl>) -> Database {
    named.map_or_else(
        || Database::File(data_dir.join(DATABASE)),
        Database::Postgres,
    )
}

fn checked_owner(name: String) -> Result<String, Error> {
    match names::account(&name) {
        Ok(_) => Ok(name),
        Err(refusal) => Err(Error::Owner {
            name: text::shown(&name, 64),
            hint: refusal.hint,
        }),
    }
}

fn checked_redirects(uris: Vec<String>) -> Result<Vec<String>, Error> {
    match uris.iter().find(|uri| !may_be_configured(uri)) {
        None => Ok(uris),
        Some(uri) => Err(Error::RedirectUri {
            uri: text::shown(uri, 128),
        }),
    }
}

impl OidcFile {
    fn read(self) -> Result<oidc::Settings, Error> {
        let url = url::Url::parse(&self.issuer).ok();
        if !url.is_some_and(|url| url.scheme() == "https" && url.query().is_none()) {
            return Err(Error::Issuer {
                issuer: text::shown(&self.issuer, 128),
            });
        }
        let secret = private_file::read(&self.client_secret_file)?;
        let name = self.name.unwrap_or_else(|| self.issuer.clone());
        Ok(oidc::Settings {
            name: text::shown(&name, 64),
            issuer: self.issuer,
            client_id: self.client_id,
            client_secret: Secret::given(secret.trim()),
            ca_file: self.ca_file,
        })
    }
}

/// `https://host` or `https://host:port`, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    url: String,
    host: String,
}

impl PublicUrl {
    /// Reads it; a path, a user or another scheme is an error.
    pub fn parse(given: &str) -> Result<Self, Error> {
        let wrong = || Error::PublicUrl {
            url: text::shown(given, 128),
        };
        let url = given
            .strip_suffix('/')
            .unwrap_or(given)
            .to_ascii_lowercase();
        let uri: http::Uri = url.parse().map_err(|_| wrong())?;
        let (Some("https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(wrong());
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let name = host.trim_matches(['[', ']']);
        let is_host = text::is_hostname(name) || name.parse::<IpAddr>().is_ok();
        if !is_host || authority.contains('@') || url != format!("https://{authority}") {
            return Err(wrong());
        }
        Ok(Self {
            host: name.to_owned(),
            url,
        })
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The host name or address in it.
    pub fn host(&self) -> &str {
        &self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, flags: ServeFlags) -> Result<Config, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.toml");
        std::fs::write(&path, text).unwrap();
        let config = Some(path);
        Config::load(&ServeFlags { config, ..flags }, Some("ada".into())).map(|loaded| loaded.0)
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let file = "listen = \"127.0.0.1:1\"\ndata-dir = \"/x\"\npublic-url = \"https://a/\"";
        let config = load(file, ServeFlags::default()).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.public_url.unwrap().as_str(), "https://a");
        assert_eq!(config.owner.as_deref(), Some("ada"));
        let flags = ServeFlags {
            listen: Some(([127, 0, 0, 1], 2).into()),
            ..ServeFlags::default()
        };
        assert_eq!(load(file, flags).unwrap().listen.port(), 2);
        assert_eq!(
            load("data-dir = \"/x\"", ServeFlags::default())
                .unwrap()
                .listen,
            DEFAULT_LISTEN
        );
    }

    #[test]
    fn a_misspelt_key_names_the_nearest() {
        let error = load("public-ulr = \"x\"", ServeFlags::default()).unwrap_err();
        assert!(
            error.to_string().contains("did you mean `public-url`?"),
            "{error}"
        );
    }

    #[test]
    fn a_public_url_is_a_host_and_perhaps_a_port() {
        for good in [
            "https://a.example",
            "https://a.example:7443/",
            "https://[::1]:1",
        ] {
            assert!(PublicUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "a.example",
            "http://a",
            "https://a/x",
            "https://u@a",
            "https://a?x",
            "https://<b>",
        ] {
            assert!(PublicUrl::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(PublicUrl::parse("https://[::1]:1").unwrap().host(), "::1");
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host_and_nothing_else() {
        let file =
            "data-dir = \"/x\"\nallow-origin = [\"http://localhost:3000\", \"https://A.example\"]";
        let loaded = load(file, ServeFlags::default()).unwrap();
        let expected = ["http://localhost:3000", "https://a.example"];
        assert_eq!(loaded.allowed_origins, expected);
        for bad in [
            "*",
            "null",
            "a.example",
            "file://x",
            "https://a/x",
            "https://*.example",
        ] {
            assert!(checked_origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_owner_that_cannot_be_a_name_is_refused_but_a_users_name_is_only_passed_over() {
        assert!(load("data-dir = \"/x\"\nowner = \"a b\"", ServeFlags::default()).is_err());
        let flags = ServeFlags {
            data_dir: Some("/x".into()),
            ..ServeFlags::default()
        };
        let loaded = Config::load(&flags, Some("DOMAIN\\ada".into())).unwrap();
        assert_eq!(loaded.0.owner, None);
    }
}
