//! How far the agent may read the PTY ahead: one window beyond the fastest operator who moves.
//!
//! Pure: places and times in, an offset out.

use std::time::Duration;

use cmdop_proto::{Offset, limits};
use tokio::time::Instant;

/// An operator who has bytes waiting and takes none for so long no longer holds the session back.
pub(crate) const STANDSTILL: Duration = Duration::from_secs(1);

/// How far the agent may be ahead; the window holds as much, so nothing falls out.
const AHEAD: u64 = limits::RELAY_WINDOW as u64;

/// A new grant is sent when it is worth a message. Small against [`AHEAD`], so that an agent whose
/// operator keeps up never waits for it.
pub(crate) const STEP: u64 = AHEAD / 4;

/// One operator as the credit sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator {
    /// What it has been given.
    pub(crate) position: Offset,
    /// Since when bytes wait for it; `None`: none do.
    pub(crate) waiting_since: Option<Instant>,
}

/// How far the agent may read, and when that will change by time alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// [`Offset::MAX`]: nobody holds it back.
    pub(crate) up_to: Offset,
    /// When the fastest of those who move counts as standing, if it takes nothing until then.
    pub(crate) until: Option<Instant>,
}

/// The grant for these operators.
pub(crate) fn grant(operators: impl Iterator<Item = Operator>, now: Instant) -> Grant {
    let fastest = operators
        .filter(|operator| {
            operator
                .waiting_since
                .is_none_or(|since| now < since + STANDSTILL)
        })
        .max_by_key(|operator| operator.position);
    match fastest {
        None => Grant {
            up_to: Offset::MAX,
            until: None,
        },
        Some(operator) => Grant {
            up_to: Offset(operator.position.0.saturating_add(AHEAD)),
            until: operator.waiting_since.map(|since| since + STANDSTILL),
        },
    }
}

/// Whether the agent has to hear of `new` when it has `old`.
pub(crate) fn is_worth_a_message(old: Offset, new: Offset) -> bool {
    old.0.abs_diff(new.0) >= STEP
}

/// Whether an agent that may read up to `granted` and whose log ends at `end` may soon stand still.
pub(crate) fn is_short(granted: Offset, end: Offset) -> bool {
    granted - end < STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(position: u64, waiting_since: Option<Instant>) -> Operator {
        Operator {
            position: Offset(position),
            waiting_since,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_fastest_who_moves_decides() {
        let now = Instant::now();
        let old = now - STANDSTILL;
        let fast = operator(100, Some(now));
        let slow = operator(7, Some(now));
        let stuck = operator(500, Some(old));
        let up_to = |operators: &[Operator]| grant(operators.iter().copied(), now).up_to;
        assert_eq!(up_to(&[]), Offset::MAX);
        assert_eq!(up_to(&[fast, slow]), Offset(100 + AHEAD));
        assert_eq!(up_to(&[slow, stuck]), Offset(7 + AHEAD));
        assert_eq!(up_to(&[stuck]), Offset::MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_with_everything_holds_the_session_for_as_long_as_it_takes() {
        let now = Instant::now();
        let grant = grant(std::iter::once(operator(9, None)), now);
        assert_eq!((grant.up_to, grant.until), (Offset(9 + AHEAD), None));
    }

    #[test]
    fn who_keeps_up_never_leaves_the_agent_short() {
        // Just before a new grant is sent, three quarters of the window are still open.
        let granted = Offset(AHEAD);
        let end = Offset(STEP - 1);
        assert!(!is_worth_a_message(granted, Offset(end.0 + AHEAD)));
        assert!(!is_short(granted, end));
    }
}
