//! Files with several names, of which a sum counts one.

use std::collections::HashSet;

use cmdop_proto::v1;
use rustix::fs::Stat;

use crate::entry::kind;

/// So many are remembered: 24 MiB at most. What is beyond counts with each of its names.
const MAX_LINKED: usize = 1 << 20;

/// Those that were met already.
#[derive(Debug, Default)]
pub(crate) struct Linked {
    met: HashSet<(u64, u64)>,
}

impl Linked {
    /// Whether this was not met under another name.
    pub(crate) fn is_new(&mut self, stat: &Stat) -> bool {
        let is_linked = kind(stat) != v1::FileKind::Directory && stat.st_nlink > 1;
        !is_linked
            || self.met.len() >= MAX_LINKED
            || self.met.insert((stat.st_dev as u64, stat.st_ino as u64))
    }
}
