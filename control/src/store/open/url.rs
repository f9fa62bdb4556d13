//! The URL of a PostgreSQL database: read, shown without its password, and told to PostgreSQL's own programs.

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::Error;

/// `postgres://user@host/database`. It may hold a password: it is shown without.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(super) options: Box<PgConnectOptions>,
    shown: String,
    /// What sqlx keeps to itself, as libpq's environment variables.
    kept: Vec<(&'static str, String)>,
}

/// The parameters that sqlx and libpq have in common and that sqlx does not tell again.
const KEPT: [(&str, &str); 4] = [
    ("password", "PGPASSWORD"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
];

impl DatabaseUrl {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let options: PgConnectOptions = match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => text.parse().map_err(|_| Error::Url)?,
            _ => return Err(Error::Url),
        };
        let at = options.get_socket().map_or_else(
            || format!("{}:{}", options.get_host(), options.get_port()),
            |directory| directory.display().to_string(),
        );
        let name = options.get_database().unwrap_or(options.get_username());
        Ok(Self {
            shown: cmdop_proto::text::shown(&format!("PostgreSQL database {name} at {at}"), 256),
            options: Box::new(options),
            kept: kept(text)?,
        })
    }

    /// The database's name.
    pub(crate) fn name(&self) -> &str {
        let options = &self.options;
        options.get_database().unwrap_or(options.get_username())
    }

    /// How PostgreSQL's own programs reach it: environment variables of libpq, for a command line can be
    /// read by everybody. `settings` are set for the connection.
    pub(crate) fn environment(&self, settings: &str) -> Vec<(&'static str, String)> {
        let options = &self.options;
        let host = options.get_socket().map_or_else(
            || options.get_host().to_owned(),
            |directory| directory.display().to_string(),
        );
        let settings = [options.get_options().unwrap_or_default(), settings].join(" ");
        let mut variables = vec![
            ("PGHOST", host),
            ("PGPORT", options.get_port().to_string()),
            ("PGUSER", options.get_username().to_owned()),
            ("PGDATABASE", self.name().to_owned()),
            ("PGSSLMODE", ssl_mode(options.get_ssl_mode()).to_owned()),
            ("PGAPPNAME", "cmdop-control".to_owned()),
            ("PGOPTIONS", settings.trim().to_owned()),
        ];
        variables.extend(self.kept.iter().cloned());
        variables
    }
}

fn kept(text: &str) -> Result<Vec<(&'static str, String)>, Error> {
    let url = url::Url::parse(text).map_err(|_| Error::Url)?;
    let mut kept: Vec<_> = url
        .password()
        .map(|password| ("PGPASSWORD", decoded(password)))
        .into_iter()
        .collect();
    for (name, value) in url.query_pairs() {
        let known = KEPT.iter().find(|(parameter, _)| *parameter == name);
        kept.extend(known.map(|(_, variable)| (*variable, value.into_owned())));
    }
    Ok(kept)
}

/// What the percent signs stand for. A plus sign is one, other than in a form.
fn decoded(password: &str) -> String {
    let form = format!("p={}", password.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

fn ssl_mode(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgresqls_own_programs_are_told_what_the_url_says_and_not_on_their_command_line() {
        let url = "postgres://ada:a+b%2Fc%20d@db.example:5433/cmdop?sslmode=verify-full&sslrootcert=/ca.pem";
        let url = DatabaseUrl::parse(url).unwrap();
        let told = url.environment("-c x=y");
        for expected in [
            ("PGHOST", "db.example"),
            ("PGPORT", "5433"),
            ("PGUSER", "ada"),
            ("PGDATABASE", "cmdop"),
            ("PGPASSWORD", "a+b/c d"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/ca.pem"),
            ("PGOPTIONS", "-c x=y"),
        ] {
            let expected = (expected.0, expected.1.to_owned());
            assert!(told.contains(&expected), "{expected:?}: {told:?}");
        }
        assert!(!format!("{url} {url:?}").contains("a+b"));
        let socket = DatabaseUrl::parse("postgres:///x?host=/run/pg&user=u&password=p").unwrap();
        let told = socket.environment("");
        assert!(told.contains(&("PGHOST", "/run/pg".to_owned())), "{told:?}");
        assert!(told.contains(&("PGPASSWORD", "p".to_owned())), "{told:?}");
    }
}
