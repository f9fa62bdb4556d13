//! What the router was told: the file, and the flags laid over it.
//!
//! A [`Settings`] is complete and consistent; nothing after it looks at a flag or a file again.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use cmdop_service::telemetry::LogFormat;
use cmdop_service::{config, data_dir};
use serde::Deserialize;

use crate::args::Flags;

/// Where it listens unless told otherwise: loopback, next to control plane (7443) and relay (7444).
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7445);

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    listen: Option<SocketAddr>,
    data_dir: Option<PathBuf>,
    log_format: Option<LogFormat>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
}

/// Everything that is needed to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where state is kept.
    pub data_dir: PathBuf,
    /// How logs look.
    pub log_format: LogFormat,
    /// Without it, plain HTTP is spoken.
    pub tls: Option<TlsFiles>,
}

/// A PEM certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why the settings make no sense.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error(transparent)]
    File(#[from] config::Error),
    /// No place for state.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// Half a TLS identity.
    #[error("`{given}` is set without `{missing}`: TLS needs both, plain HTTP neither")]
    HalfTls {
        /// The key that the file has.
        given: &'static str,
        /// The key that it lacks.
        missing: &'static str,
    },
}

impl Settings {
    /// Reads the file that `flags` name and lays the flags over it.
    pub fn load(flags: &Flags) -> Result<Self, Error> {
        let file: File = config::load(flags.config.as_deref())?;
        let tls = match (file.tls_cert, file.tls_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => return Err(half("tls-cert", "tls-key")),
            (None, Some(_)) => return Err(half("tls-key", "tls-cert")),
        };
        let data_dir = match flags.data_dir.clone().or(file.data_dir) {
            Some(path) => path,
            None => data_dir::default_path("router")?,
        };
        Ok(Self {
            listen: flags.listen.or(file.listen).unwrap_or(DEFAULT_LISTEN),
            data_dir,
            log_format: flags.log_format.or(file.log_format).unwrap_or_default(),
            tls,
        })
    }
}

fn half(given: &'static str, missing: &'static str) -> Error {
    Error::HalfTls { given, missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, flags: Flags) -> Result<Settings, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("router.toml");
        std::fs::write(&path, text).unwrap();
        Settings::load(&Flags {
            config: Some(path),
            ..flags
        })
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let file = "listen = \"127.0.0.1:1\"\ndata-dir = \"/x\"\nlog-format = \"json\"";
        let settings = load(file, Flags::default()).unwrap();
        assert_eq!(settings.listen.port(), 1);
        assert_eq!(settings.log_format, LogFormat::Json);
        let flags = Flags {
            listen: Some(([127, 0, 0, 1], 2).into()),
            ..Flags::default()
        };
        assert_eq!(load(file, flags).unwrap().listen.port(), 2);
        assert_eq!(
            load("data-dir = \"/x\"", Flags::default()).unwrap().listen,
            DEFAULT_LISTEN
        );
    }

    #[test]
    fn half_a_tls_identity_is_refused_by_name() {
        let error = load("tls-cert = \"/x\"", Flags::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`tls-cert` is set without `tls-key`"),
            "{error}"
        );
    }

    #[test]
    fn a_misspelt_key_names_the_nearest() {
        let error = load("lissten = \"127.0.0.1:1\"", Flags::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean `listen`?"), "{error}");
    }
}
