//! Which directories each role may reach, and how much it may keep there.

use std::path::PathBuf;
use std::sync::Arc;

use cmdop_files::{Quota, Scope};
use serde::Deserialize;

/// A role that is not named may reach what the agent's user may; a guest that is not named, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    default,
    try_from = "Written"
)]
pub struct Places {
    /// Of guests, who only read.
    pub guest: Option<Vec<PathBuf>>,
    /// Of members.
    pub member: Place,
    /// Of administrators.
    pub admin: Place,
    /// Of owners.
    pub owner: Place,
}

/// What one role that writes may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Beneath these; absent: all that the agent's user may.
    pub directories: Option<Vec<PathBuf>>,
    /// What may lie in all of them together, bytes of the disk.
    pub quota: Option<u64>,
}

/// As the configuration says it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Written {
    guest: Option<Vec<PathBuf>>,
    member: Option<Vec<PathBuf>>,
    admin: Option<Vec<PathBuf>>,
    owner: Option<Vec<PathBuf>>,
    quota: Quotas,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Quotas {
    member: Option<u64>,
    admin: Option<u64>,
    owner: Option<u64>,
}

impl TryFrom<Written> for Places {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let quota = written.quota;
        Ok(Self {
            guest: written.guest,
            member: Place::new("member", written.member, quota.member)?,
            admin: Place::new("admin", written.admin, quota.admin)?,
            owner: Place::new("owner", written.owner, quota.owner)?,
        })
    }
}

impl Place {
    fn new(
        role: &str,
        directories: Option<Vec<PathBuf>>,
        quota: Option<u64>,
    ) -> Result<Self, String> {
        if quota.is_some() && directories.is_none() {
            return Err(format!(
                "a quota of `{role}` needs directories that it counts: name them (`{role} = [\"/srv\"]`), \
                 or limit the agent's user by the file system's own quota"
            ));
        }
        Ok(Self { directories, quota })
    }
}

/// What a role reaches, and the limit that all its streams share.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) scope: Scope,
    pub(crate) quota: Option<Arc<Quota>>,
}

impl Reach {
    fn of(place: &Place) -> Self {
        let directories = place.directories.clone();
        let quota = place
            .quota
            .zip(directories.clone())
            .map(|(limit, directories)| Arc::new(Quota::new(directories, limit)));
        Self {
            scope: directories.map_or(Scope::Whole, Scope::Beneath),
            quota,
        }
    }
}

/// The reach of every role.
#[derive(Debug)]
pub(crate) struct Reaches {
    guest: Reach,
    member: Reach,
    admin: Reach,
    owner: Reach,
}

impl Reaches {
    pub(crate) fn new(places: &Places) -> Self {
        Self {
            guest: Reach {
                scope: Scope::Beneath(places.guest.clone().unwrap_or_default()),
                quota: None,
            },
            member: Reach::of(&places.member),
            admin: Reach::of(&places.admin),
            owner: Reach::of(&places.owner),
        }
    }

    /// Of a role; one that is not known is treated as a guest.
    pub(crate) fn of(&self, role: &str) -> Reach {
        let reach = match role {
            "owner" => &self.owner,
            "admin" => &self.admin,
            "member" => &self.member,
            _ => &self.guest,
        };
        reach.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(written: &str) -> Reaches {
        Reaches::new(&toml::from_str(written).unwrap())
    }

    #[test]
    fn a_role_reaches_what_its_machine_gives_it_and_a_guest_nothing_else() {
        let some = reaches("member = [\"/srv\"]\n");
        assert_eq!(some.of("owner").scope, Scope::Whole);
        assert_eq!(some.of("member").scope, Scope::Beneath(vec!["/srv".into()]));
        for unknown in ["guest", "", "root"] {
            assert_eq!(some.of(unknown).scope, Scope::Beneath(Vec::new()));
        }
        let some = reaches("guest = [\"/srv/public\"]\n");
        assert_eq!(
            some.of("guest").scope,
            Scope::Beneath(vec!["/srv/public".into()])
        );
        assert_eq!(some.of("member").scope, Scope::Whole);
    }

    #[test]
    fn a_quota_is_of_directories_and_shared_by_all_streams_of_its_role() {
        let some = reaches("member = [\"/srv\"]\nquota.member = 1_000_000\n");
        let (one, other) = (some.of("member").quota, some.of("member").quota);
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
        assert!(some.of("admin").quota.is_none());
        for wrong in ["quota.member = 5\n", "quota.guest = 5\n"] {
            let error = toml::from_str::<Places>(wrong).unwrap_err().to_string();
            assert!(
                error.contains("member") || error.contains("guest"),
                "{error}"
            );
        }
    }
}
