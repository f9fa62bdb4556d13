//! Replacing the key for secrets: which key has sealed how much, and sealing all of it anew with the first one.
//!
//! Servers may run meanwhile: a secret that is changed at the same time keeps the change, and each is there whole, sealed
//! by the one key or by the other. Servers that do not have the first key could not open it: that they have it is for
//! the operator to see to, before.

use std::collections::BTreeMap;

use super::{Admin, Error};
use crate::sealed::{Sealer, sealed_by};
use crate::secret::Secret;
use crate::store::{SealedKind, SealedRow};

/// How often it is looked again for what servers sealed meanwhile with the key that they had begun with.
const PASSES: usize = 16;

/// What a key for secrets is good for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// The first: what is sealed now, it seals.
    Seals,
    /// Another one that is there.
    Opens,
    /// It is not there, and what it sealed does not open.
    Missing,
}

impl KeyState {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seals => "seals",
            Self::Opens => "opens",
            Self::Missing => "missing",
        }
    }
}

/// A key for secrets, and what it has sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretsKey {
    /// Its name: the beginning of its SHA-256.
    pub id: String,
    /// What it is good for.
    pub state: KeyState,
    /// How much of each kind it has sealed.
    pub sealed: BTreeMap<SealedKind, u64>,
}

/// The first secret that did not open, and how many did not.
#[derive(Debug, Default)]
struct Unopened {
    count: u64,
    first: Option<(SealedKind, String, String)>,
}

impl Admin {
    /// The keys for secrets that are here, in their order, then those that have sealed something and are not.
    /// `secrets_key` is what the environment has, if it has one.
    pub async fn secrets_keys(
        &self,
        secrets_key: Option<&Secret>,
    ) -> Result<Vec<SecretsKey>, Error> {
        let sealer = self.sealer(secrets_key)?;
        let mut keys: Vec<SecretsKey> = sealer
            .key_ids()
            .map(|id| SecretsKey::new(id, KeyState::Opens))
            .collect();
        if let Some(first) = keys.first_mut() {
            first.state = KeyState::Seals;
        }
        for kind in SealedKind::ALL {
            for (beginning, count) in self.store.sealed_by(kind).await? {
                let id = sealed_by(&beginning).unwrap_or("(none)");
                let place = keys.iter().position(|key| key.id == id);
                let place = place.unwrap_or_else(|| {
                    keys.push(SecretsKey::new(id, KeyState::Missing));
                    keys.len() - 1
                });
                *keys[place].sealed.entry(kind).or_default() += count;
            }
        }
        Ok(keys)
    }

    /// Seals everything anew that the first key has not sealed; how much of each kind that was. What does not open stays
    /// as it is, and is an error after all the rest is done.
    pub async fn reseal(
        &self,
        secrets_key: Option<&Secret>,
    ) -> Result<Vec<(SealedKind, u64)>, Error> {
        let sealer = self.sealer(secrets_key)?;
        let mut unopened = Unopened::default();
        let mut resealed = SealedKind::ALL.map(|kind| (kind, 0));
        for pass in 0.. {
            if pass == PASSES {
                return Err(Error::StillSealing);
            }
            unopened = Unopened::default();
            let mut more = 0;
            for (kind, count) in &mut resealed {
                let done = self.reseal_all(*kind, &sealer, &mut unopened).await?;
                (*count, more) = (*count + done, more + done);
            }
            if more == 0 {
                break;
            }
        }
        let resealed = resealed.to_vec();
        match unopened.first {
            None => Ok(resealed),
            Some((kind, row, reason)) => Err(Error::NotOpened {
                resealed: resealed.iter().map(|(_, count)| count).sum(),
                left: unopened.count,
                table: kind.table(),
                row: cmdop_proto::text::shown(&row, 64),
                reason,
            }),
        }
    }

    /// A page at a time, in the order of the rows: what comes after the last page was sealed by the first key.
    async fn reseal_all(
        &self,
        kind: SealedKind,
        sealer: &Sealer,
        unopened: &mut Unopened,
    ) -> Result<u64, Error> {
        let newest = sealer.key_ids().next().unwrap_or_default();
        let beginning = Sealer::beginning_of(newest);
        let (mut after, mut done) = (String::new(), 0);
        loop {
            let page = self.store.sealed_otherwise(kind, &beginning, &after);
            let page = page.await?;
            let Some(last) = page.last() else {
                return Ok(done);
            };
            after.clone_from(&last.row);
            let mut anew = Vec::with_capacity(page.len());
            for old in page {
                match sealer.open(kind.table(), &old.row, &old.sealed) {
                    Ok(plain) => {
                        let new = sealer.seal(kind.table(), &old.row, &plain)?;
                        anew.push((old, new));
                    }
                    Err(error) => unopened.take(kind, old, error.to_string()),
                }
            }
            let now_ms = self.clock.now_ms();
            done += self.store.reseal(kind, &anew, newest, now_ms).await?;
        }
    }
}

impl SecretsKey {
    fn new(id: &str, state: KeyState) -> Self {
        Self {
            id: cmdop_proto::text::shown(id, 32),
            state,
            sealed: BTreeMap::new(),
        }
    }
}

impl Unopened {
    fn take(&mut self, kind: SealedKind, old: SealedRow, reason: String) {
        self.count += 1;
        self.first.get_or_insert((kind, old.row, reason));
    }
}
