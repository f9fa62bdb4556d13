//! Connections to relays, for all that a control plane has run there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cmdop_client::dial::{self, Lane, Trust};
use tonic::transport::Channel;

/// Connections to relays, one each, made anew when they are lost.
#[derive(Debug)]
pub(crate) struct Relays {
    trust: Trust,
    channels: Mutex<HashMap<String, Channel>>,
}

impl Relays {
    /// Those whose certificate this CA signed.
    pub(super) fn new(ca_pem: &str) -> Self {
        Self {
            trust: Trust::Ca(ca_pem.to_owned()),
            channels: Mutex::new(HashMap::new()),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one to that address, made if need be.
    pub(super) async fn channel(&self, url: &str) -> Result<Channel, dial::Error> {
        if let Some(channel) = self.known().get(url) {
            return Ok(channel.clone());
        }
        // Two that come at once dial twice, and the later connection stays.
        let channel = dial::dial(url, &self.trust, Lane::Bulk).await?;
        self.known().insert(url.to_owned(), channel.clone());
        Ok(channel)
    }

    /// It is dead: the next caller dials.
    pub(super) fn forget(&self, url: &str) {
        self.known().remove(url);
    }
}
