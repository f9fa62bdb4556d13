//! How many connections are open at once, in all and from one place, so that one peer cannot take
//! every descriptor. Bytes and time are the serving loop's business.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all: some kilobytes each, and one descriptor. An agent has two, a client one.
    pub total: usize,
    /// Connections from one address. Generous: a whole site may be behind one, and so may everybody
    /// when a proxy stands before us.
    pub of_peer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: 20_000,
            of_peer: 5_000,
        }
    }
}

/// Counts who is in.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    of_peer: HashMap<IpAddr, usize>,
    /// Somebody was turned away and nobody was let in since.
    is_full: bool,
}

/// A place among the connections; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    place: IpAddr,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            open: Mutex::default(),
        })
    }

    /// A place for a peer, if there is one.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Permit> {
        let place = place(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = open.of_peer.get(&place).copied().unwrap_or(0);
        if open.total >= self.limits.total || of_peer >= self.limits.of_peer {
            if !std::mem::replace(&mut open.is_full, true) {
                let total = open.total;
                tracing::warn!(%peer, total, of_peer, "turning connections away: too many are open");
            }
            return None;
        }
        open.is_full = false;
        open.total += 1;
        open.of_peer.insert(place, of_peer + 1);
        Some(Permit {
            admission: self.clone(),
            place,
        })
    }

    fn leave(&self, place: IpAddr) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(of_peer) = open.of_peer.get_mut(&place) {
            *of_peer -= 1;
            if *of_peer == 0 {
                open.of_peer.remove(&place);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.leave(self.place);
    }
}

/// Who counts as one: an IPv4 address, or the /64 that one IPv6 subscriber has.
fn place(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_cannot_take_the_places_of_others() {
        let admission = Admission::new(Limits {
            total: 3,
            of_peer: 2,
        });
        let admit = |peer: &str| admission.admit(peer.parse().unwrap());
        let first = admit("2001:db8::1").unwrap();
        let _second = admit("2001:db8::2").unwrap();
        assert!(admit("2001:db8::3").is_none());
        let _other = admit("10.0.0.1").unwrap();
        assert!(admit("10.0.0.2").is_none(), "all places are taken");
        drop(first);
        assert!(admit("2001:db8::3").is_some());
        assert!(admit("10.0.0.2").is_some());
        assert_eq!(admission.open.lock().unwrap().of_peer.len(), 2);
    }
}
