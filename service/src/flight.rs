//! How many bytes of one session may be under way to a peer, measured in time.
//!
//! Whatever was handed to the connection comes before a picture that an interrupt asks for, or an echo
//! in another session, wherever on the way it waits. The windows of HTTP/2 and TCP are bytes, which are
//! a moment on one link and many seconds on another. So the sender marks some of its messages, the peer
//! answers the marks, and what is neither answered nor below the window is not sent:
//! `rate × (least delay + queue)`, after the idea of BBR
//! (draft-cardwell-iccrg-bbr-congestion-control) to measure both apart. A key's echo is never marked, so
//! it costs nothing.
//!
//! Pure: numbers and times in, numbers out. Peers are hostile: one that answers early, late or never
//! changes what comes to itself only.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What may wait on the way beyond what fits on it.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// A queue as long as the way itself doubles the rate in one round, until it no longer grows; but
    /// at least and at most so long.
    queue: (Duration, Duration),
    /// A window is never smaller, bytes, on a link that carries so much in the longest queue.
    least: u64,
}

/// To a client: a queue that nobody feels, on links of any rate. A full screen of text passes at once.
pub const TO_CLIENT: Terms = Terms {
    queue: (Duration::from_millis(100), Duration::from_millis(100)),
    least: LEAST,
};

/// To the relay, on a connection that sessions share: what waits there, all of them wait for.
pub const TO_RELAY: Terms = Terms {
    queue: (Duration::from_millis(2), Duration::from_millis(100)),
    least: 64 << 10,
};

/// The window before anything was measured.
const FIRST: u64 = 16 << 10;

/// No window is smaller, however slow the link: some packets.
const LEAST: u64 = 8 << 10;

/// How long what is kept ready takes to leave: longer than the sender may be busy with something else.
const AHEAD: Duration = Duration::from_millis(50);

/// Nor larger: so much the relay keeps.
const MOST: u64 = cmdop_proto::limits::RELAY_WINDOW as u64;

/// Marks in one window: so often its rate is measured.
const MARKS: u64 = 4;

/// The least delay is looked for anew so often, with a small window for one round: a path may have
/// become longer, and a queue that always stands looks like one.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The bytes that are under way to a peer that answers marks.
#[derive(Debug)]
pub struct Flight {
    terms: Terms,
    /// Bytes that were ever sent on this stream.
    sent: u64,
    /// Those of them that are known to have been taken, and since when.
    taken: (u64, Instant),
    marks: VecDeque<Mark>,
    window: u64,
    /// Bytes a second.
    rate: f64,
    /// The least delay, and when it was measured.
    least: Option<(Duration, Instant)>,
    /// The least delay is looked for anew since then.
    looking: Option<Instant>,
    /// The peer cannot answer now: see [`Flight::open`].
    is_open: bool,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    sent: u64,
    at: Instant,
    /// What was known then.
    taken: (u64, Instant),
}

impl Flight {
    /// Nothing is under way.
    pub fn new(terms: Terms, now: Instant) -> Self {
        Self {
            terms,
            sent: 0,
            taken: (0, now),
            marks: VecDeque::new(),
            window: FIRST,
            rate: 0.0,
            least: None,
            looking: None,
            is_open: false,
        }
    }

    /// How many bytes may be sent now, in one message: a whole window in one would be sent, and then
    /// waited for.
    pub fn room(&self) -> usize {
        if self.is_open {
            return MOST as usize;
        }
        let piece = self.window / MARKS;
        if self.marks.is_empty() {
            // What is not taken was too little to ask for, even if the window is smaller by now.
            return piece as usize;
        }
        let under_way = self.sent - self.taken.0;
        self.window.saturating_sub(under_way).min(piece) as usize
    }

    /// How many bytes are worth having ready for when there is room again: all that is ready comes before
    /// what an interrupt asks for.
    pub fn ahead(&self) -> usize {
        if self.is_open {
            return MOST as usize;
        }
        let ahead = (self.rate * AHEAD.as_secs_f64()) as u64;
        ahead.clamp(LEAST, MOST) as usize
    }

    /// So many bytes are sent; the number that the peer has to answer when it has them, or 0.
    pub fn send(&mut self, bytes: usize, now: Instant) -> u64 {
        if self.marks.is_empty() {
            // Nothing was waited for: the time until now says nothing about the link.
            self.taken.1 = now;
        }
        self.sent += bytes as u64;
        let marked = self.marks.back().map_or(self.taken.0, |mark| mark.sent);
        let is_due = self.sent - marked >= self.window / MARKS || self.room() == 0;
        // The bound holds for a peer that answers nothing while the window is open.
        if !is_due || self.marks.len() as u64 >= 4 * MARKS {
            return 0;
        }
        self.marks.push_back(Mark {
            sent: self.sent,
            at: now,
            taken: self.taken,
        });
        self.sent
    }

    /// The peer has everything up to `mark`. One that was never sent is not heard.
    pub fn received(&mut self, mark: u64, now: Instant) {
        let Some(place) = self.marks.iter().position(|known| known.sent == mark) else {
            return;
        };
        let Some(mark) = self.marks.drain(..=place).next_back() else {
            return;
        };
        self.is_open = false;
        self.taken = (mark.sent, now);
        self.measure(mark, now);
    }

    /// The peer's answers wait behind something that waits for this side, or it is not known to answer
    /// at all: until it does, nothing is held back, or each would wait for the other.
    pub fn open(&mut self) {
        self.is_open = true;
    }

    fn measure(&mut self, mark: Mark, now: Instant) {
        let delay = now - mark.at;
        if let Some(since) = self.looking {
            // It waited in the queue that was there.
            if mark.at < since {
                return;
            }
            (self.looking, self.least) = (None, None);
        }
        if self
            .least
            .is_some_and(|(least, at)| delay > least && now >= at + LOOK_AGAIN)
        {
            // What is under way drains, and what is sent then finds no queue.
            self.looking = Some(now);
            self.window = self.least_window();
            return;
        }
        if self.least.is_none_or(|(least, _)| delay <= least) {
            self.least = Some((delay, now));
        }
        let bytes = mark.sent - mark.taken.0;
        let took = now.saturating_duration_since(mark.taken.1);
        let rate = bytes as f64 / took.as_secs_f64().max(1e-6);
        // A program that prints little makes a rate look small: it is forgotten slowly.
        self.rate = rate.max(self.rate * 0.75);
        let least = self.least.map_or(delay, |(least, _)| least);
        let (shortest, longest) = self.terms.queue;
        let window = self.rate * (least + least.clamp(shortest, longest)).as_secs_f64();
        self.window = (window as u64).clamp(self.least_window(), MOST);
    }

    fn least_window(&self) -> u64 {
        let longest = self.rate * self.terms.queue.1.as_secs_f64();
        self.terms.least.min((longest as u64).max(LEAST))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUEUE: Duration = TO_CLIENT.queue.1;

    #[test]
    fn a_slow_link_to_the_relay_has_no_more_under_way_and_ready_than_a_fraction_of_a_second_of_it()
    {
        let now = Instant::now();
        let mut flight = Flight::new(TO_RELAY, now);
        let mut link = Link::new(100_000.0, Duration::from_millis(40), now);
        let (passed, longest) = flood(&mut flight, &mut link, Duration::from_secs(20));
        assert!(passed > 1_800_000, "{passed}");
        assert!(longest < Duration::from_millis(250), "{longest:?}");
        assert!(flight.ahead() <= 8 << 10);
        // And a fast one as much as it needs.
        let mut flight = Flight::new(TO_RELAY, now);
        let mut link = Link::new(100e6, Duration::from_micros(100), now);
        flood(&mut flight, &mut link, Duration::from_secs(1));
        assert!(flight.window >= 64 << 10 && flight.ahead() == MOST as usize);
    }

    /// A link with a rate, a delay each way, and a queue without end.
    struct Link {
        rate: f64,
        delay: Duration,
        free_at: Instant,
        answers: VecDeque<(Instant, u64)>,
    }

    impl Link {
        fn new(rate: f64, delay: Duration, now: Instant) -> Self {
            Self {
                rate,
                delay,
                free_at: now,
                answers: VecDeque::new(),
            }
        }

        fn pass(&mut self, bytes: usize, mark: u64, now: Instant) {
            let takes = Duration::from_secs_f64(bytes as f64 / self.rate);
            self.free_at = self.free_at.max(now) + takes;
            if mark != 0 {
                self.answers
                    .push_back((self.free_at + 2 * self.delay, mark));
            }
        }

        /// How long a byte that is sent now waits before it is on the link.
        fn queue(&self, now: Instant) -> Duration {
            self.free_at.saturating_duration_since(now)
        }
    }

    /// Floods a link for so long. What passed, and the longest queue of the second half.
    fn flood(flight: &mut Flight, link: &mut Link, time: Duration) -> (u64, Duration) {
        let begin = Instant::now();
        let (mut now, mut passed, mut longest) = (begin, 0, Duration::ZERO);
        loop {
            while flight.room() > 0 {
                let piece = flight.room().min(64 << 10);
                let mark = flight.send(piece, now);
                passed += piece as u64;
                link.pass(piece, mark, now);
            }
            if now > begin + time / 2 {
                longest = longest.max(link.queue(now));
            }
            let (at, mark) = link.answers.pop_front().expect("a full window has a mark");
            if at > begin + time {
                return (passed, longest);
            }
            now = at;
            flight.received(mark, now);
        }
    }

    proptest! {
        #[test]
        fn a_link_is_kept_busy_and_its_queue_short(
            rate in 50_000.0..20_000_000.0_f64,
            delay_ms in 0_u64..100,
        ) {
            let now = Instant::now();
            let delay = Duration::from_millis(delay_ms);
            let mut flight = Flight::new(TO_CLIENT, now);
            let mut link = Link::new(rate, delay, now);
            let time = Duration::from_secs(60);
            let (passed, longest) = flood(&mut flight, &mut link, time);
            // Larger windows than the relay keeps are not to be had.
            let possible = rate.min(MOST as f64 / (2 * delay).as_secs_f64().max(1e-9));
            prop_assert!(passed as f64 >= 0.7 * possible * time.as_secs_f64(), "{passed}");
            // A slow link takes long for the smallest window alone.
            let smallest = Duration::from_secs_f64(LEAST as f64 / rate);
            prop_assert!(longest <= 3 * QUEUE + smallest, "{longest:?}");
        }

        #[test]
        fn whatever_a_client_answers_it_is_never_owed_more_than_a_window(
            answers in proptest::collection::vec((any::<bool>(), 0_u64..2_000_000, 0_u64..50), 1..300),
        ) {
            let mut now = Instant::now();
            let mut flight = Flight::new(TO_CLIENT, now);
            let mut marks = Vec::new();
            for (is_honest, lie, ms) in answers {
                now += Duration::from_millis(ms);
                while flight.room() > 0 {
                    marks.push(flight.send(flight.room().min(9000), now));
                }
                prop_assert!(flight.sent - flight.taken.0 <= MOST);
                prop_assert!(flight.marks.len() as u64 <= 4 * MARKS);
                let answer = match marks.pop() {
                    Some(mark) if is_honest => mark,
                    _ => lie,
                };
                flight.received(answer, now);
            }
        }
    }

    proptest! {
        /// Pieces of any size, pauses of any length: who has answered everything gets more.
        #[test]
        fn nobody_waits_for_an_answer_that_was_not_asked_for(
            steps in proptest::collection::vec((1_usize..100_000, 0_u64..3000, any::<bool>()), 1..300),
            to_client in any::<bool>(),
        ) {
            let mut now = Instant::now();
            let terms = if to_client { TO_CLIENT } else { TO_RELAY };
            let mut flight = Flight::new(terms, now);
            let mut marks = Vec::new();
            for (bytes, ms, answers) in steps {
                now += Duration::from_millis(ms);
                let piece = bytes.min(flight.room());
                marks.push(flight.send(piece, now));
                if answers {
                    marks.drain(..).for_each(|mark| flight.received(mark, now));
                    prop_assert!(flight.room() > 0);
                }
            }
        }
    }

    #[test]
    fn keys_are_never_marked() {
        let now = Instant::now();
        let mut flight = Flight::new(TO_CLIENT, now);
        assert!((0..1000).all(|_| flight.send(3, now) == 0));
    }
}
