//! Telling people that one of two clocks is wrong, in words that help.

use cmdop_proto::limits::CLOCK_LEEWAY;

/// Warns when this machine's clock and `whose` are a minute or more apart; says whether it did.
pub(crate) fn warn_if_apart(whose: &str, theirs_ms: u64, ours_ms: u64) -> bool {
    let Some(message) = difference(whose, theirs_ms, ours_ms) else {
        return false;
    };
    tracing::warn!("{message}");
    true
}

fn difference(whose: &str, theirs_ms: u64, ours_ms: u64) -> Option<String> {
    let seconds = theirs_ms.abs_diff(ours_ms) / 1000;
    if theirs_ms == 0 || seconds < CLOCK_LEEWAY.as_secs() {
        return None;
    }
    let direction = if ours_ms > theirs_ms {
        "ahead of"
    } else {
        "behind"
    };
    Some(format!(
        "this machine's clock is {seconds} s {direction} that of {whose}: tokens may be refused; \
         set both clocks (NTP)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_named_with_its_seconds() {
        assert_eq!(difference("the relay", 1_000_000, 1_059_999), None);
        let message = difference("the relay", 1_000_000, 1_090_000).unwrap();
        assert!(message.contains("90 s ahead of"), "{message}");
        let message = difference("the relay", 1_090_000, 1_000_000).unwrap();
        assert!(message.contains("90 s behind"), "{message}");
        assert_eq!(difference("an old relay", 0, 1_000_000), None);
    }
}
