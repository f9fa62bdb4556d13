//! One state of what the control plane told, and how an event changes it.

use std::collections::{BTreeMap, HashMap};

use cmdop_proto::limits::MAX_FLEETS_OF_MACHINE;
use cmdop_proto::token::Claims;
use cmdop_proto::{FleetId, MachineId, Refusal, WorkspaceId, text, v1};
use cmdop_service::tokens::KeySet;
use serde::{Deserialize, Serialize};

use super::{Change, Keys, Machines, no_keys};

/// A machine that is enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Its id.
    pub id: MachineId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Its name, unique there. It comes from the control plane, never from the agent.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The fleets that it is in.
    #[serde(default)]
    pub fleets: Vec<String>,
    /// Their ids: who is kept to fleets reaches it by them. What is not known is not reached.
    #[serde(default)]
    pub fleet_ids: Vec<FleetId>,
    /// As it said when it enrolled.
    pub os: String,
    /// As it said when it enrolled.
    pub arch: String,
}

/// Tokens that are void before they expire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    claim: String,
    value: String,
    issued_until_ms: u64,
    forget_at_ms: u64,
}

/// All of it, as it is kept on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    jwks: String,
    machines: Vec<Enrolled>,
    revoked: Vec<Revoked>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    jwks: String,
    keys: Keys,
    machines: Machines,
    by_name: HashMap<(WorkspaceId, String), MachineId>,
    revoked: Voids,
}

/// What was revoked, by claim and value: every check looks for its own, however many there are.
#[derive(Clone, Debug, Default)]
struct Voids {
    of: HashMap<String, HashMap<String, Revoked>>,
    count: usize,
    /// With so many it is looked which can be forgotten.
    most: usize,
}

impl Voids {
    /// Told again after every reconnect: the newer word replaces the older.
    fn put(&mut self, entry: Revoked, now_ms: u64) {
        let of = self.of.entry(entry.claim.clone()).or_default();
        self.count += usize::from(of.insert(entry.value.clone(), entry).is_none());
        if self.count > self.most {
            for of in self.of.values_mut() {
                of.retain(|_, entry| entry.forget_at_ms > now_ms);
            }
            self.count = self.of.values().map(HashMap::len).sum();
            self.most = 2 * self.count + 64;
        }
    }

    fn until_ms(&self, claim: &str, value: impl FnOnce() -> Option<String>) -> Option<u64> {
        let of = self.of.get(claim).filter(|of| !of.is_empty())?;
        of.get(&value()?).map(|entry| entry.issued_until_ms)
    }
}

impl Enrolled {
    /// Whether the bearer of a token with these claims may know of it.
    pub(crate) fn is_reached_by(&self, claims: &Claims) -> bool {
        self.workspace == claims.wid && claims.reach.includes(&self.fleet_ids)
    }
}

impl TryFrom<v1::EnrolledMachine> for Enrolled {
    type Error = Refusal;

    fn try_from(machine: v1::EnrolledMachine) -> Result<Self, Refusal> {
        let shown = |text: &str| text::shown(text, cmdop_proto::limits::MAX_NAME);
        let labels = machine.labels.iter();
        Ok(Self {
            id: machine.id.parse()?,
            workspace: machine.workspace_id.parse()?,
            name: text::shown(&machine.name, cmdop_proto::limits::MAX_HOSTNAME),
            labels: labels
                .map(|(key, value)| (shown(key), shown(value)))
                .collect(),
            fleets: machine
                .fleets
                .iter()
                .take(MAX_FLEETS_OF_MACHINE)
                .map(|fleet| shown(fleet))
                .collect(),
            fleet_ids: machine
                .fleet_ids
                .iter()
                .take(MAX_FLEETS_OF_MACHINE)
                .map(|id| id.parse())
                .collect::<Result<_, _>>()?,
            os: shown(&machine.os),
            arch: shown(&machine.arch),
        })
    }
}

impl Facts {
    pub(super) fn apply(
        &mut self,
        event: v1::control_event::Event,
    ) -> Result<Option<Change>, Refusal> {
        use v1::control_event::Event;
        Ok(match event {
            Event::JwksJson(jwks) => {
                self.keys = Some(KeySet::from_jwks(&jwks)?);
                self.jwks = jwks;
                None
            }
            Event::Machine(machine) => {
                let machine = Enrolled::try_from(machine)?;
                let change = Change::Machine(machine.workspace, machine.id);
                self.put(machine);
                Some(change)
            }
            Event::MachineRemovedId(id) => {
                let removed = self.remove(id.parse()?);
                removed.map(|machine| Change::Removed(machine.workspace, machine.id))
            }
            Event::Revoked(revocation) => {
                self.revoke(revocation);
                Some(Change::Revoked)
            }
            Event::Synced(_) | Event::Keepalive(_) => None,
        })
    }

    fn put(&mut self, machine: Enrolled) {
        self.remove(machine.id);
        self.by_name
            .insert((machine.workspace, machine.name.clone()), machine.id);
        self.machines.insert(machine.id, machine);
    }

    fn remove(&mut self, id: MachineId) -> Option<Enrolled> {
        let machine = self.machines.remove(&id)?;
        let name = (machine.workspace, machine.name.clone());
        // Another may have its name by now.
        if self.by_name.get(&name) == Some(&id) {
            self.by_name.remove(&name);
        }
        Some(machine)
    }

    fn revoke(&mut self, revocation: v1::Revocation) {
        let entry = Revoked {
            claim: revocation.claim,
            value: revocation.value,
            issued_until_ms: revocation.issued_until_ms,
            forget_at_ms: revocation.forget_at_ms,
        };
        self.revoked.put(entry, cmdop_service::now_ms());
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            jwks: self.jwks.clone(),
            machines: self.machines.values().cloned().collect(),
            revoked: self
                .revoked
                .of
                .values()
                .flat_map(HashMap::values)
                .cloned()
                .collect(),
        }
    }

    pub(super) fn from_snapshot(snapshot: Snapshot) -> Result<Self, Refusal> {
        let mut facts = Self {
            keys: Some(KeySet::from_jwks(&snapshot.jwks)?),
            jwks: snapshot.jwks,
            ..Self::default()
        };
        let now_ms = cmdop_service::now_ms();
        for entry in snapshot.revoked {
            facts.revoked.put(entry, now_ms);
        }
        snapshot
            .machines
            .into_iter()
            .for_each(|machine| facts.put(machine));
        Ok(facts)
    }

    /// What a follower of `old` has to hear.
    pub(super) fn changes_since<'a>(&'a self, old: &'a Self) -> impl Iterator<Item = Change> + 'a {
        let changed = self
            .machines
            .values()
            .filter(|machine| old.machines.get(&machine.id) != Some(machine))
            .map(|machine| Change::Machine(machine.workspace, machine.id));
        let removed = old
            .machines
            .values()
            .filter(|machine| !self.machines.contains_key(&machine.id))
            .map(|machine| Change::Removed(machine.workspace, machine.id));
        changed.chain(removed)
    }

    pub(super) fn keys(&self) -> Result<&KeySet, Refusal> {
        self.keys.as_ref().ok_or_else(no_keys)
    }

    /// Whether a token with these claims is void. Seconds and milliseconds meet here: a token of the
    /// very second of the revocation is void.
    pub(super) fn is_revoked(&self, claims: &Claims) -> bool {
        let issued_ms = (claims.iat.max(0) as u64) * 1000;
        let until_ms = [
            self.revoked.until_ms("sub", || Some(claims.sub.clone())),
            self.revoked.until_ms("jti", || Some(claims.jti.clone())),
            self.revoked
                .until_ms("sid", || claims.sid.map(|sid| sid.to_string())),
        ];
        until_ms
            .into_iter()
            .flatten()
            .any(|until_ms| issued_ms <= until_ms)
    }

    pub(super) fn machine(&self, id: MachineId) -> Option<&Enrolled> {
        self.machines.get(&id)
    }

    /// The id comes first: a machine may have been enrolled under the id of another as its name.
    pub(super) fn find(&self, claims: &Claims, name_or_id: &str) -> Option<&Enrolled> {
        let by_id = name_or_id.parse().ok().and_then(|id| self.machine(id));
        let is_reached = |machine: &&Enrolled| machine.is_reached_by(claims);
        let by_name = || {
            let name = (claims.wid, name_or_id.to_owned());
            self.machine(*self.by_name.get(&name)?)
        };
        by_id
            .filter(is_reached)
            .or_else(|| by_name().filter(is_reached))
    }

    pub(super) fn machines(&self, claims: &Claims) -> impl Iterator<Item = &Enrolled> {
        self.machines
            .values()
            .filter(move |machine| machine.is_reached_by(claims))
    }
}

#[cfg(test)]
mod tests {
    use cmdop_proto::Reach;

    use super::*;
    use crate::caller::Account;

    fn claims(workspace: WorkspaceId, reach: Reach) -> Claims {
        let someone = Account::of_a_test().claims;
        Claims {
            wid: workspace,
            reach,
            ..Claims::clone(&someone)
        }
    }

    fn enrolled(workspace: WorkspaceId, name: &str) -> Enrolled {
        Enrolled {
            fleets: Vec::new(),
            fleet_ids: Vec::new(),
            id: MachineId::new(),
            workspace,
            name: name.to_owned(),
            labels: BTreeMap::new(),
            os: String::new(),
            arch: String::new(),
        }
    }

    #[test]
    fn a_machine_that_is_named_as_the_id_of_another_is_not_taken_for_it() {
        let (workspace, other) = (WorkspaceId::new(), WorkspaceId::new());
        let mut facts = Facts::default();
        let victim = enrolled(workspace, "web-1");
        let impostor = enrolled(workspace, &victim.id.to_string());
        let found = |facts: &Facts, workspace, name: &str| {
            let claims = claims(workspace, Reach::All);
            facts.find(&claims, name).cloned()
        };
        facts.put(impostor.clone());
        // As long as nobody has that id, it is a name as any other.
        let id = victim.id.to_string();
        assert_eq!(found(&facts, workspace, &id), Some(impostor.clone()));
        facts.put(victim.clone());
        assert_eq!(found(&facts, workspace, &id), Some(victim.clone()));
        assert_eq!(found(&facts, workspace, "web-1"), Some(victim));
        assert_eq!(found(&facts, other, &id), None);
    }

    #[test]
    fn a_revocation_hits_what_it_names_and_what_is_over_is_forgotten() {
        let now = cmdop_service::now_ms();
        let mut facts = Facts::default();
        let mut revoke = |claim: &str, value: &str, forget_at_ms| {
            facts.revoke(v1::Revocation {
                claim: claim.into(),
                value: value.into(),
                issued_until_ms: now,
                forget_at_ms,
            });
        };
        for n in 0..1000 {
            revoke("jti", &format!("over-{n}"), now - 1);
        }
        let login = cmdop_proto::LoginId::new();
        revoke("jti", "one", now + 60_000);
        revoke("sid", &login.to_string(), now + 60_000);
        revoke("sub", "somebody", now + 60_000);
        revoke("else", "other", now + 60_000);
        assert!(facts.snapshot().revoked.len() < 200, "they are forgotten");
        let other = || Claims {
            iat: (now / 1000) as i64 - 5,
            jti: "other".into(),
            sub: "other".into(),
            ..claims(WorkspaceId::new(), Reach::All)
        };
        let jti = Claims {
            jti: "one".into(),
            ..other()
        };
        let sid = Claims {
            sid: Some(login),
            ..other()
        };
        let sub = Claims {
            sub: "somebody".into(),
            ..other()
        };
        // As after a restart: what was kept on the disk.
        let mut read = Facts::default();
        for entry in facts.snapshot().revoked {
            read.revoked.put(entry, now);
        }
        for facts in [&facts, &read] {
            assert!(!facts.is_revoked(&other()));
            for void in [&jti, &sid, &sub] {
                assert!(facts.is_revoked(void), "{void:?}");
                let younger = Claims {
                    iat: (now / 1000) as i64 + 5,
                    ..Claims::clone(void)
                };
                assert!(!facts.is_revoked(&younger));
            }
        }
    }

    #[test]
    fn who_is_kept_to_fleets_finds_their_machines_and_no_others() {
        let (workspace, eu, us) = (WorkspaceId::new(), FleetId::new(), FleetId::new());
        let in_fleets = |name, fleet_ids| Enrolled {
            fleet_ids,
            ..enrolled(workspace, name)
        };
        let mut facts = Facts::default();
        let alone = in_fleets("alone", Vec::new());
        let both = in_fleets("both", vec![eu, us]);
        let american = in_fleets("american", vec![us]);
        for machine in [&alone, &both, &american] {
            facts.put(machine.clone());
        }
        let seen = |reach: Reach| {
            let claims = claims(workspace, reach);
            let mut names: Vec<_> = facts.machines(&claims).map(|m| m.name.clone()).collect();
            names.sort();
            for machine in [&alone, &both, &american] {
                let is_seen = names.contains(&machine.name);
                let by_name = facts.find(&claims, &machine.name);
                let by_id = facts.find(&claims, &machine.id.to_string());
                assert_eq!((by_name.is_some(), by_id.is_some()), (is_seen, is_seen));
            }
            names.join(" ")
        };
        assert_eq!(seen(Reach::All), "alone american both");
        assert_eq!(seen(Reach::Fleets(vec![eu])), "both");
        assert_eq!(
            seen(Reach::Fleets(vec![FleetId::new(), us])),
            "american both"
        );
        assert_eq!(seen(Reach::Fleets(Vec::new())), "");
    }

    #[test]
    fn a_machine_that_an_older_cache_holds_is_in_no_fleet() {
        let machine = enrolled(WorkspaceId::new(), "web-1");
        let mut kept = serde_json::to_value(&machine).unwrap();
        kept.as_object_mut().unwrap().remove("fleet_ids");
        let read: Enrolled = serde_json::from_value(kept).unwrap();
        assert!(!read.is_reached_by(&claims(machine.workspace, Reach::Fleets(Vec::new()))));
    }
}
