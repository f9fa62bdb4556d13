//! Whose terminal decides the size of the session's: the policies, and the votes that they count.
//!
//! A vote is the size of an operator's terminal and how recent it is. Observers have none.

use cmdop_proto::{Refusal, Size, v1};

use super::attached::AttachmentId;
use super::state::{After, State};

/// Whose terminal decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Who spoke last.
    #[default]
    Latest,
    /// The fewest rows and the fewest columns of all.
    Smallest,
    /// The most rows and the most columns of all.
    Largest,
    /// Nobody's.
    Manual,
}

/// The size of an operator's terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) size: Size,
    /// A later one is higher.
    pub(crate) turn: u64,
}

impl Policy {
    /// The policy of a message; `None`: it names none.
    pub(crate) fn read(policy: v1::SizePolicy) -> Option<Self> {
        match policy {
            v1::SizePolicy::Unspecified => None,
            v1::SizePolicy::Latest => Some(Self::Latest),
            v1::SizePolicy::Smallest => Some(Self::Smallest),
            v1::SizePolicy::Largest => Some(Self::Largest),
            v1::SizePolicy::Manual => Some(Self::Manual),
        }
    }

    pub(crate) fn message(self) -> v1::SizePolicy {
        match self {
            Self::Latest => v1::SizePolicy::Latest,
            Self::Smallest => v1::SizePolicy::Smallest,
            Self::Largest => v1::SizePolicy::Largest,
            Self::Manual => v1::SizePolicy::Manual,
        }
    }

    /// The size that these votes make; `None`: it stays as it is.
    pub(crate) fn decide(self, votes: impl Iterator<Item = Vote>) -> Option<Size> {
        let each = |pick: fn(u16, u16) -> u16| {
            move |a: Size, b: Size| {
                Size::clamped(pick(a.rows(), b.rows()), pick(a.cols(), b.cols()))
            }
        };
        match self {
            Self::Manual => None,
            Self::Latest => votes.max_by_key(|vote| vote.turn).map(|vote| vote.size),
            Self::Smallest => votes.map(|vote| vote.size).reduce(each(u16::min)),
            Self::Largest => votes.map(|vote| vote.size).reduce(each(u16::max)),
        }
    }
}

impl State {
    /// An operator's terminal has this size.
    pub(super) fn voted(&mut self, attachment: AttachmentId, size: Size, after: &mut After) {
        self.turns += 1;
        let turn = self.turns;
        if let Some(client) = self.client(attachment) {
            client.vote = Some(Vote { size, turn });
        }
        self.count_votes(after);
    }

    /// A client left. Where the last word decides, it has to have been its.
    pub(super) fn vote_left(&mut self, vote: Option<Vote>, after: &mut After) {
        let Some(vote) = vote else {
            return;
        };
        if self.policy != Policy::Latest || vote.turn == self.turns {
            self.count_votes(after);
        }
    }

    /// Takes the size that the policy and the votes make.
    pub(super) fn count_votes(&mut self, after: &mut After) {
        // Who may not type watches, whatever it may do later: the last word is the holder's.
        let holder = match self.policy {
            Policy::Latest => self.keyboard.holder().map(|holder| holder.client),
            _ => None,
        };
        let is_counted = |id| holder.is_none_or(|holder| holder == id);
        let votes = self.clients.iter().filter(|client| is_counted(client.id));
        if let Some(size) = self.policy.decide(votes.filter_map(|client| client.vote)) {
            self.want_size(size, after);
        }
    }

    /// A request sets the size, the policy, or both.
    pub(super) fn set_size(
        &mut self,
        size: Option<Size>,
        policy: Option<Policy>,
        after: &mut After,
    ) -> Result<(), Refusal> {
        let resulting = policy.unwrap_or(self.policy);
        let is_decided = matches!(resulting, Policy::Smallest | Policy::Largest)
            && self.clients.iter().any(|client| client.vote.is_some());
        if size.is_some() && is_decided {
            return Err(Refusal::invalid(
                "size-policy",
                "the terminals of the attached operators decide the size of the session",
            )
            .hint("`cmdop resize SESSION COLSxROWS --policy manual` sets it for good"));
        }
        if let Some(policy) = policy.filter(|policy| *policy != self.policy) {
            self.policy = policy;
            self.settings_changed(after);
            if size.is_none() {
                self.count_votes(after);
            }
        }
        if let Some(size) = size {
            // The last word, and no client's.
            self.turns += 1;
            self.want_size(size, after);
        }
        Ok(())
    }

    /// The latest word counts; another size may be on its way to the agent.
    fn want_size(&mut self, size: Size, after: &mut After) {
        let is_news = self.wanted_size.replace(size) != Some(size) || size != self.facts.size;
        if is_news {
            self.agent.resize(size.into(), after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(cols: u32, rows: u32, turn: u64) -> Vote {
        let size = Size::new(rows, cols).unwrap();
        Vote { size, turn }
    }

    #[test]
    fn each_policy_makes_its_own_size_of_the_same_terminals() {
        let votes = [vote(120, 20, 1), vote(80, 50, 3), vote(100, 30, 2)];
        let decide = |policy: Policy| policy.decide(votes.into_iter()).map(|s| s.to_string());
        assert_eq!(decide(Policy::Latest).as_deref(), Some("80x50"));
        assert_eq!(decide(Policy::Smallest).as_deref(), Some("80x20"));
        assert_eq!(decide(Policy::Largest).as_deref(), Some("120x50"));
        assert_eq!(decide(Policy::Manual), None);
    }

    #[test]
    fn without_an_operator_the_size_stays() {
        for policy in [Policy::Latest, Policy::Smallest, Policy::Largest] {
            assert_eq!(policy.decide(std::iter::empty()), None);
        }
    }

    #[test]
    fn a_policy_survives_the_wire() {
        for policy in [
            Policy::Latest,
            Policy::Smallest,
            Policy::Largest,
            Policy::Manual,
        ] {
            assert_eq!(Policy::read(policy.message()), Some(policy));
        }
        assert_eq!(Policy::read(v1::SizePolicy::Unspecified), None);
    }
}
