//! Whose programs the agent runs: its own user's, with that user's home, shell and a plain
//! environment. Nothing of the agent's own settings reaches a program.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cmdop_proto::{Refusal, limits};

/// Where programs are looked for when the agent itself was started without a PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a file system has to say whether a directory exists.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a program may see of the agent's environment; all else (tokens, the agent's own
/// settings) stays with the agent.
const INHERITED: [&str; 7] = [
    "PATH",
    "LANG",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_AUTH_SOCK",
];

/// The agent's own user.
#[derive(Clone, Debug)]
pub struct User {
    /// The login name.
    pub name: String,
    /// Where programs start unless told otherwise.
    pub home: PathBuf,
    /// The login shell.
    pub shell: String,
    environment: Vec<(OsString, OsString)>,
}

impl User {
    /// The user of this process. `environment` is what the agent was started with; of it, programs
    /// inherit the search path, the language and little else.
    ///
    /// Home and shell are those that the agent itself was given, as for a tmux server; the password
    /// database answers where that has none, or what is somebody else's (`sudo -E cmdopd run`).
    pub fn current(environment: &[(OsString, OsString)]) -> Self {
        let from_environment = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| key == name)
                .and_then(|(_, value)| value.to_str())
                .map(str::to_owned)
        };
        let entry = passwd_entry();
        let (name, home, shell) = entry.unwrap_or_default();
        let name = non_empty(name)
            .or_else(|| from_environment("USER"))
            .unwrap_or_else(|| rustix::process::getuid().as_raw().to_string());
        let home = from_environment("HOME")
            .map(PathBuf::from)
            .filter(|home| is_own_directory(home))
            .or_else(|| non_empty(home).map(PathBuf::from))
            .or_else(|| directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()))
            .unwrap_or_else(|| PathBuf::from("/"));
        let shell = from_environment("SHELL")
            .filter(|shell| is_trusted_program(Path::new(shell)))
            .or_else(|| non_empty(shell))
            .unwrap_or_else(|| "/bin/sh".into());
        let environment = base_environment(environment, &name, &home, &shell);
        Self {
            name,
            home,
            shell,
            environment,
        }
    }

    /// The environment of a program without a terminal: ours, then what the request sets.
    pub(crate) fn environment(&self, requested: &[(String, String)]) -> Vec<(OsString, OsString)> {
        let mut all = self.environment.clone();
        for (name, value) in requested {
            all.retain(|(key, _)| key != name.as_str());
            all.push((name.into(), value.into()));
        }
        all
    }

    /// The directory to start in: still to be found.
    pub(crate) fn directory(&self, requested: &str) -> Directory {
        Directory {
            requested: requested.to_owned(),
            home: self.home.clone(),
        }
    }
}

/// A directory that somebody wants to start in.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// Empty: home.
    requested: String,
    home: PathBuf,
}

impl Directory {
    /// The same with another one in its place.
    pub(crate) fn or(&self, requested: String) -> Self {
        Self {
            requested,
            home: self.home.clone(),
        }
    }

    /// Its path, if it is a directory. On a thread of its own and not for ever: a file server that
    /// hangs must not hold up the link, nor the other sessions.
    pub(crate) async fn find(self) -> Result<PathBuf, Refusal> {
        let directory = self.clone();
        let looking = tokio::task::spawn_blocking(move || directory.look());
        match tokio::time::timeout(PATIENCE, looking).await {
            Ok(found) => found.map_err(|panic| Refusal::internal(panic.to_string()))?,
            Err(_) => Err(self.refusal("its file system does not answer")),
        }
    }

    fn look(&self) -> Result<PathBuf, Refusal> {
        if self.requested.is_empty() {
            // A user without a home still gets a shell.
            let home = self.home.is_dir().then(|| self.home.clone());
            return Ok(home.unwrap_or_else(|| PathBuf::from("/")));
        }
        let path = self.home.join(&self.requested);
        match path.metadata() {
            Ok(data) if data.is_dir() => Ok(path),
            Ok(_) => Err(self.refusal("it is not a directory")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(self.refusal("there is no such directory"))
            }
            Err(error) => Err(self.refusal(&error.to_string())),
        }
    }

    fn refusal(&self, why: &str) -> Refusal {
        let place = if self.requested.is_empty() {
            "the home directory"
        } else {
            &self.requested
        };
        Refusal::invalid(
            "bad-directory",
            format!(
                "cannot start in {}: {why}",
                cmdop_proto::text::shown(place, 256)
            ),
        )
        .hint("name an existing directory of the machine with --cwd")
    }
}

/// The request's variables in a fixed order, if a process can have them.
pub(crate) fn checked_environment(
    requested: std::collections::HashMap<String, String>,
) -> Result<Vec<(String, String)>, Refusal> {
    let bad = |message: String| Refusal::invalid("bad-environment", message);
    if requested.len() > limits::MAX_ENV {
        return Err(bad(format!(
            "{} environment variables are more than {}",
            requested.len(),
            limits::MAX_ENV
        )));
    }
    let mut all: Vec<_> = requested.into_iter().collect();
    all.sort();
    for (name, value) in &all {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(bad(format!(
                "`{}` cannot be an environment variable",
                cmdop_proto::text::shown(name, 64)
            )));
        }
    }
    Ok(all)
}

fn base_environment(
    environment: &[(OsString, OsString)],
    name: &str,
    home: &Path,
    shell: &str,
) -> Vec<(OsString, OsString)> {
    let inherited = |key: &OsStr| {
        key.to_str()
            .is_some_and(|key| INHERITED.contains(&key) || key.starts_with("LC_"))
    };
    let mut all: Vec<(OsString, OsString)> = environment
        .iter()
        .filter(|(key, value)| inherited(key) && !value.is_empty())
        .cloned()
        .collect();
    let mut default = |key: &str, value: &str| {
        if all.iter().all(|(known, _)| known != key) {
            all.push((key.into(), value.into()));
        }
    };
    default("PATH", DEFAULT_PATH);
    // Programs without a locale treat UTF-8 as noise, and every client of ours speaks UTF-8.
    default("LANG", "C.UTF-8");
    all.push(("HOME".into(), home.into()));
    all.push(("USER".into(), name.into()));
    all.push(("LOGNAME".into(), name.into()));
    all.push(("SHELL".into(), shell.into()));
    all
}

/// Name, home and shell of our user from /etc/passwd (passwd(5)). Users of a directory service are
/// not in it; for them the environment and `directories` answer.
fn passwd_entry() -> Option<(String, String, String)> {
    let passwd = std::fs::read("/etc/passwd").ok()?;
    entry_of(
        &String::from_utf8_lossy(&passwd),
        &rustix::process::getuid().as_raw().to_string(),
    )
}

fn entry_of(passwd: &str, uid: &str) -> Option<(String, String, String)> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.len() >= 7 && fields[2] == uid)
            .then(|| (fields[0].into(), fields[5].into(), fields[6].into()))
    })
}

fn is_own_directory(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    path.is_absolute()
        && path
            .metadata()
            .is_ok_and(|data| data.is_dir() && data.uid() == own)
}

/// A program that is this user's or root's, and that nobody else can write to.
fn is_trusted_program(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    path.is_absolute()
        && path.metadata().is_ok_and(|data| {
            data.is_file()
                && data.mode() & 0o111 != 0
                && data.mode() & 0o022 == 0
                && [0, own].contains(&data.uid())
        })
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_program_sees_nothing_of_the_agents_settings() {
        let started_with = [
            ("PATH".into(), "/opt/bin".into()),
            ("CMDOP_SECRET".into(), "x".into()),
            ("LC_ALL".into(), "de_DE.UTF-8".into()),
        ];
        let user = User::current(&started_with);
        let seen = user.environment(&[("A".into(), "1".into())]);
        let get = |name: &str| {
            seen.iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        assert_eq!(get("PATH"), Some("/opt/bin".into()));
        assert_eq!(get("LC_ALL"), Some("de_DE.UTF-8".into()));
        assert_eq!(get("A"), Some("1".into()));
        assert_eq!(get("CMDOP_SECRET"), None);
        assert!(get("HOME").is_some() && get("SHELL").is_some());
    }

    #[test]
    fn home_and_shell_are_those_of_the_agent_unless_they_are_not_its_own() {
        let own = tempfile::tempdir().unwrap();
        let known = User::current(&[]);
        let with = |home: &str, shell: &str| {
            User::current(&[("HOME".into(), home.into()), ("SHELL".into(), shell.into())])
        };
        let user = with(own.path().to_str().unwrap(), "/bin/sh");
        assert_eq!((&*user.home, &*user.shell), (own.path(), "/bin/sh"));
        let others = own.path().join("shell");
        std::fs::write(&others, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&others, Permissions::from_mode(0o777)).unwrap();
        let others = others.to_str().unwrap();
        for (home, shell) in [
            ("", ""),
            ("/no/such/place", "/etc/passwd"),
            (".", "sh"),
            ("/dev/null", others),
        ] {
            let user = with(home, shell);
            assert_eq!((&user.home, &user.shell), (&known.home, &known.shell));
        }
    }

    #[test]
    fn a_home_of_somebody_else_does_not_count() {
        // Root's own to everybody but root, who can give one away.
        let other = tempfile::tempdir().unwrap();
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            std::os::unix::fs::chown(other.path(), Some(65534), None).unwrap();
        }
        let other = if is_root {
            other.path()
        } else {
            Path::new("/")
        };
        let user = User::current(&[("HOME".into(), other.into())]);
        assert_eq!(user.home, User::current(&[]).home);
    }

    #[test]
    fn the_password_database_is_read_by_id() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\njo:x:7:7::/home/jo:/bin/zsh\n";
        assert_eq!(
            entry_of(passwd, "7"),
            Some(("jo".into(), "/home/jo".into(), "/bin/zsh".into()))
        );
        assert_eq!(entry_of(passwd, "8"), None);
    }

    #[test]
    fn a_directory_that_is_missing_is_named() {
        let user = User::current(&[]);
        let refusal = user.directory("/no/such/place").look().unwrap_err();
        assert_eq!(refusal.reason, "bad-directory");
        assert!(refusal.message.contains("/no/such/place"), "{refusal}");
    }

    #[test]
    fn a_variable_that_no_process_can_have_is_refused() {
        let refused = |name: &str, value: &str| {
            checked_environment([(name.to_owned(), value.to_owned())].into()).is_err()
        };
        assert!(refused("", "x") && refused("a=b", "x") && refused("a", "x\0y"));
        assert!(!refused("a", "x=y"));
    }
}
