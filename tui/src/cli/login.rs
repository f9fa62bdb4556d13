//! `cmdop login`: the OAuth device flow, and keeping what comes of it as a profile.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use cmdop_client::dial::{self, Trust};
use cmdop_client::oauth::{DeviceAuthorization, Grant, Server};
use cmdop_client::profile::{Profile, StoreKind};
use cmdop_client::token_store::{self, Secret};
use cmdop_client::tokens::Tokens;
use cmdop_client::{Connection, Profiles, account, keys};
use cmdop_proto::text::shown;

use super::context::Context;
use super::failure::Failure;

/// Log in to a control plane through its web page
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop login https://cmdop.example.org:7443 --ca ca.pem\n  \
                  cmdop login https://cmdop.example.org:7443 --api-key-stdin < key"
)]
pub(super) struct Args {
    /// The control plane, https://host:port [default: that of the profile]
    url: Option<String>,
    /// Believe servers whose certificate this CA signed (PEM)
    #[arg(long, value_name = "FILE", conflicts_with = "ca_fingerprint")]
    ca: Option<PathBuf>,
    /// Believe the CA with this SHA-256
    #[arg(long, value_name = "HEX", value_parser = fingerprint)]
    ca_fingerprint: Option<Fingerprint>,
    /// Read an API key from stdin instead of asking for a person: for programs
    #[arg(long)]
    api_key_stdin: bool,
}

/// The SHA-256 of a certificate's DER.
#[derive(Clone, Copy, Debug)]
struct Fingerprint([u8; 32]);

/// 64 hexadecimal digits, with or without colons between the bytes.
fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()
        .ok_or("it holds something else than hexadecimal digits")?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |n, d| n << 4 | d))
        .collect();
    bytes
        .try_into()
        .ok()
        .filter(|_| digits.len() == 64)
        .map(Fingerprint)
        .ok_or_else(|| format!("a SHA-256 has 64 hexadecimal digits, not {}", digits.len()))
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let with_key = args.api_key_stdin;
    let (name, url, trust) = server(context, args).await?;
    let server = Server::new(&url, &trust)?;
    let mut login = Login {
        name,
        url,
        trust,
        key: Secret::default(),
    };
    let grant = if with_key {
        login.key = api_key()?;
        server.exchange_key(&login.key).await?
    } else {
        let device = server.device_authorization().await?;
        invite(context, &device);
        server.device_token(&device).await?
    };
    let profile = remember(context, login, grant).await?;
    context.progress(&format!(
        "logged in as {} in workspace {} (profile {})",
        shown(&profile.account, 64),
        shown(&profile.workspace, 64),
        profile.name
    ));
    Ok(0)
}

/// The key, without the line end that `echo` adds. It never stands on a command line, where others see it.
fn api_key() -> Result<Secret, Failure> {
    /// More than any key.
    const MAX_KEY: u64 = 1 << 10;
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_KEY)
        .read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("cannot read the API key: {error}")))?;
    let key = text.trim();
    if !key.starts_with(keys::PREFIX) {
        return Err(
            Failure::usage(format!("stdin holds no API key (`{}…`)", keys::PREFIX))
                .hint("make one with `cmdop keys issue`"),
        );
    }
    Ok(Secret::new(key))
}

/// Where to log in, and whom to believe there.
async fn server(context: &Context, args: Args) -> Result<(String, String, Trust), Failure> {
    let profiles = Profiles::load(context.home())?;
    let wanted = context.globals.profile.as_deref();
    let known = match (&args.url, wanted) {
        (None, wanted) => Some(profiles.select(wanted).map_err(|error| {
            Failure::from(error).hint("name the server: `cmdop login https://host:port`")
        })?),
        (Some(url), None) => profiles.iter().find(|profile| profile.control_url == *url),
        (Some(_), Some(name)) => profiles.get(name),
    };
    let url = match &args.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => known
            .map(|profile| profile.control_url.clone())
            .unwrap_or_default(),
    };
    let trust = match (args.ca, args.ca_fingerprint) {
        (Some(path), _) => Trust::Ca(std::fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!(
                "cannot read the CA file {}: {error}",
                path.display()
            ))
        })?),
        (None, Some(Fingerprint(sha256))) => Trust::Ca(dial::fetch_ca(&url, sha256).await?),
        (None, None) => known
            .filter(|profile| profile.control_url == url)
            .map_or(Trust::System, Profile::trust),
    };
    let name = match (wanted, known) {
        (Some(name), _) => name.to_owned(),
        (None, Some(profile)) => profile.name.clone(),
        (None, None) => name_of(&url),
    };
    Ok((name, url, trust))
}

/// A profile is named after its server's host unless the user names it.
fn name_of(url: &str) -> String {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    host.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') {
                c
            } else {
                '-'
            }
        })
        .collect::<String>()
        .trim_matches(['-', '.', '_'])
        .chars()
        .take(64)
        .collect()
}

fn invite(context: &Context, device: &DeviceAuthorization) {
    let page = device
        .verification_uri_complete
        .as_ref()
        .unwrap_or(&device.verification_uri);
    // Never quiet: without it nobody can log in.
    eprintln!("Open  {page}");
    eprintln!("and confirm the code  {}", device.user_code);
    if std::io::stderr().is_terminal() {
        context.progress("waiting for you to confirm it (ctrl-c gives up)…");
    }
}

/// A login that the token endpoint has agreed to, to be kept.
pub(super) struct Login {
    /// The profile's name.
    pub(super) name: String,
    /// The control plane.
    pub(super) url: String,
    /// Whom it believes.
    pub(super) trust: Trust,
    /// The API key that is kept where there is no refresh token; empty where there is one.
    pub(super) key: Secret,
}

/// Asks who we are now, stores the tokens, and makes the profile the current one.
pub(super) async fn remember(
    context: &Context,
    login: Login,
    grant: Grant,
) -> Result<Profile, Failure> {
    if let Some(skew) = grant.skew() {
        context.warn(&skew.to_string());
    }
    let mut profile = Profile {
        name: login.name,
        control_url: login.url,
        ca_pem: match login.trust {
            Trust::Ca(pem) => pem,
            Trust::System | Trust::Fingerprint(_) => String::new(),
        },
        token_store: StoreKind::File,
        ..Profile::default()
    };
    let stored = grant.stored(login.key);
    let tokens = Tokens::fixed(stored.access_token.clone());
    let me = account::whoami(&Connection::with_tokens(profile.clone(), tokens)).await?;
    profile.account = shown(&me.account_name, 64);
    profile.workspace = shown(&me.workspace_name, 64);
    profile.relay_urls = me.relay_urls.iter().map(|url| shown(url, 512)).collect();
    let mut profiles = Profiles::load(context.home())?;
    profiles.put(profile.clone())?;
    let _lock = token_store::lock(context.home(), &profile.name).await?;
    let placed = token_store::save_new(context.home(), &profile.name, &stored).await?;
    profile.token_store = placed.store;
    if let Some(why) = placed.fell_back {
        let file = context.home().tokens_file(&profile.name);
        context.progress(&format!(
            "the tokens are kept in {} (mode 0600): {why}",
            file.display()
        ));
    }
    profiles.put(profile.clone())?;
    profiles.choose(&profile.name)?;
    profiles.save(context.home())?;
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_named_after_its_host() {
        assert_eq!(
            name_of("https://cmdop.example.org:7443"),
            "cmdop.example.org"
        );
        assert_eq!(name_of("https://[::1]:7443"), "1");
    }

    #[test]
    fn a_fingerprint_is_64_digits_with_or_without_colons() {
        let plain = "ab".repeat(32);
        assert_eq!(fingerprint(&plain).unwrap().0, [0xab; 32]);
        let colons = ["ab"; 32].join(":");
        assert_eq!(fingerprint(&colons).unwrap().0, [0xab; 32]);
        assert!(fingerprint("abc").is_err());
        assert!(fingerprint(&"zz".repeat(32)).is_err());
    }
}
