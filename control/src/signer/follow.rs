//! Keys that others add to the database, or take out of it, are here a moment later.

use std::sync::Arc;
use std::time::Duration;

use super::{Error, Keys};
use crate::plane::ControlPlane;
use crate::sealed::Sealer;
use crate::store::SealedKey;

/// How often the database is asked: a key that was removed in a hurry is gone after this.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps the signer's keys those of the database, for ever.
pub(crate) async fn follow(plane: &ControlPlane) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        ticks.tick().await;
        let looked = look(plane).await;
        if let Err(error) = &looked
            && !is_failing
        {
            tracing::error!(%error, "not all signing keys can be read: those that can go on");
        }
        is_failing = looked.is_err();
    }
}

async fn look(plane: &ControlPlane) -> Result<(), Error> {
    let rows = plane.store.signing_keys().await?;
    if rows.is_empty() || rows == plane.signer.keys().rows {
        return Ok(());
    }
    let read = Keys::read(rows.clone(), &plane.sealer);
    match read {
        Ok(keys) => {
            tracing::info!(?keys, "the signing keys have changed");
            plane.signer.keys.send_replace(Arc::new(keys));
            Ok(())
        }
        Err(error) => {
            let usable = usable(rows, &plane.sealer);
            if !usable.is_empty() && usable != plane.signer.keys().rows {
                let keys = Keys::read(usable, &plane.sealer)?;
                plane.signer.keys.send_replace(Arc::new(keys));
            }
            Err(error)
        }
    }
}

/// Those that this control plane can open. One that was sealed with a key that is not here yet must not keep another
/// one that was removed in a hurry.
fn usable(rows: Vec<SealedKey>, sealer: &Sealer) -> Vec<SealedKey> {
    let opens = |row: &SealedKey| Keys::read(vec![row.clone()], sealer).is_ok();
    rows.into_iter().filter(opens).collect()
}
