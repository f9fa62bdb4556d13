//! Pages of a made-up agent, honest and not.

use proptest::prelude::*;

use super::*;

/// An agent whose lines say their epoch and number.
#[derive(Debug, Default)]
struct Agent {
    epoch: u64,
    first: u64,
    next: u64,
    goes_on: bool,
}

impl Agent {
    fn text(&self, number: u64) -> String {
        format!("{}/{number}", self.epoch)
    }

    fn mark(&self) -> v1::HistoryMark {
        v1::HistoryMark {
            epoch: self.epoch,
            next: self.next,
            goes_on: self.goes_on,
            first_kept: self.first,
        }
    }

    /// At most `most` lines fit one page.
    fn answer(&self, ask: Ask, most: u64) -> v1::HistoryResponse {
        let before = ask.before.unwrap_or(u64::MAX);
        let before = before.clamp(self.first, end(self.mark()));
        let most = most.min(ask.max_lines.into());
        let from = before.saturating_sub(most).max(self.first);
        let lines = (from..before).map(|number| match number {
            number if number == self.next => "unfinished\n".to_owned(),
            number => self.text(number) + "\n",
        });
        v1::HistoryResponse {
            mark: Some(self.mark()),
            from,
            text: lines.collect::<String>().into(),
            offset: 0,
        }
    }
}

/// Asks until nothing is missing; how often.
fn fill(pager: &mut Pager, agent: &Agent, wanted: Range<u64>, most: u64) -> usize {
    let mut asks = 0;
    while let Some(ask) = pager.next(wanted.clone()) {
        pager.take(ask, &agent.answer(ask, most)).unwrap();
        asks += 1;
    }
    asks
}

#[test]
fn the_newest_lines_come_first_and_only_what_is_missing_is_asked_for() {
    let agent = Agent {
        first: 100,
        next: 1000,
        ..Agent::default()
    };
    let mut pager = Pager::at(agent.mark(), 1 << 20);
    let ask = pager.next(900..1000).unwrap();
    assert_eq!((ask.before, ask.max_lines), (Some(1000), 100));
    assert_eq!(pager.next(900..1000), None, "one question at a time");
    let page = agent.answer(ask, 60);
    assert_eq!(pager.take(ask, &page), Ok(Taken::Lines));
    assert_eq!(pager.take(ask, &page), Ok(Taken::Late));
    let ask = pager.next(900..1000).unwrap();
    assert_eq!((ask.before, ask.max_lines), (Some(940), 40));
    pager.failed(ask);
    assert_eq!(fill(&mut pager, &agent, 850..1000, 60), 2);
    assert_eq!(pager.line(850).unwrap().text(), "0/850");
    // Older ones are gone, and nobody asks for them twice.
    assert_eq!(fill(&mut pager, &agent, 0..200, 500), 1);
    assert!(pager.is_lost(99) && !pager.is_lost(100));
    assert_eq!(pager.numbers(), Some(100..1000));
}

#[test]
fn a_line_that_lacked_its_end_is_asked_for_again_once_others_follow_it() {
    let mut agent = Agent {
        next: 5,
        goes_on: true,
        ..Agent::default()
    };
    let mut pager = Pager::new(1 << 20);
    fill(&mut pager, &agent, 0..u64::MAX, 9);
    assert!(!pager.line(5).unwrap().is_whole());
    (agent.next, agent.goes_on) = (7, false);
    let ask = pager.newest().unwrap();
    pager.take(ask, &agent.answer(ask, 1)).unwrap();
    fill(&mut pager, &agent, 0..u64::MAX, 9);
    assert_eq!(pager.line(5).unwrap().text(), "0/5");
    assert!((0..7).all(|number| pager.line(number).unwrap().is_whole()));
}

#[test]
fn another_epoch_voids_what_is_held() {
    let mut agent = Agent {
        next: 50,
        ..Agent::default()
    };
    let mut pager = Pager::new(1 << 20);
    fill(&mut pager, &agent, 0..50, 9);
    agent = Agent {
        epoch: 7,
        first: 40,
        next: 45,
        goes_on: false,
    };
    let ask = pager.newest().unwrap();
    assert_eq!(pager.take(ask, &agent.answer(ask, 2)), Ok(Taken::Anew));
    assert_eq!(pager.epoch(), Some(7));
    assert!(pager.line(42).is_none());
    assert_eq!(pager.line(44).unwrap().text(), "7/44");
}

#[test]
fn a_page_that_cannot_be_true_is_refused_and_asked_for_again() {
    let agent = Agent {
        first: 10,
        next: 100,
        ..Agent::default()
    };
    let mut pager = Pager::new(1 << 20);
    fill(&mut pager, &agent, 90..100, 9);
    let spoilers: [fn(&mut v1::HistoryResponse); 8] = [
        |page| page.mark = None,
        |page| page.from += 1,
        |page| page.from = u64::MAX,
        |page| page.text = "no end".into(),
        |page| page.text = "\n".repeat(90).into(),
        |page| page.text = bytes::Bytes::new(),
        |page| page.mark.as_mut().unwrap().first_kept = 1 << 40,
        |page| page.mark.as_mut().unwrap().first_kept = 5,
    ];
    for spoil in spoilers {
        let ask = pager.next(50..100).unwrap();
        let mut page = agent.answer(ask, 5);
        spoil(&mut page);
        pager.take(ask, &page).unwrap_err();
        assert!(pager.line(60).is_none());
    }
    fill(&mut pager, &agent, 50..100, 9);
    assert!(pager.line(60).is_some());
}

#[derive(Clone, Debug)]
enum Step {
    Print(u64),
    Evict(u64),
    Anew,
    /// The reader looks at so many lines so far above the newest.
    Look(u64, u64),
    /// The next question gets no answer.
    Fail,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..50_u64).prop_map(Step::Print),
        1 => (0..50_u64).prop_map(Step::Evict),
        1 => Just(Step::Anew),
        4 => (0..100_u64, 0..60_u64).prop_map(|(above, lines)| Step::Look(above, lines)),
        1 => Just(Step::Fail),
    ]
}

proptest! {
    #[test]
    fn what_is_held_is_what_the_agent_has_and_is_bounded(
        steps in proptest::collection::vec((step(), any::<bool>(), 1..20_u64), 1..60),
        room in 300..9000_usize,
    ) {
        let mut agent = Agent::default();
        let mut pager = Pager::new(room);
        for (step, goes_on, most) in steps {
            match step {
                Step::Print(lines) => {
                    agent.next += lines;
                    agent.goes_on = goes_on;
                }
                Step::Evict(lines) => agent.first = (agent.first + lines).min(agent.next),
                Step::Anew => {
                    agent.epoch += 1;
                    agent.next = agent.first;
                }
                Step::Fail => {
                    if let Some(ask) = pager.newest() {
                        pager.failed(ask);
                    }
                }
                Step::Look(above, lines) => {
                    if let Some(ask) = pager.newest() {
                        pager.take(ask, &agent.answer(ask, most)).unwrap();
                    }
                    let wanted_end = end(agent.mark()).saturating_sub(above);
                    let wanted = wanted_end.saturating_sub(lines)..wanted_end;
                    let asks = fill(&mut pager, &agent, wanted.clone(), most);
                    prop_assert!(asks <= 2 + lines as usize);
                    // All of it, or its newest lines where there is no room for all.
                    let there = wanted.start.max(agent.first)..wanted.end;
                    let held = there.clone().rev().take_while(|number| pager.line(*number).is_some());
                    let held = held.count() as u64;
                    let is_whole = held == there.end.saturating_sub(there.start);
                    prop_assert!(is_whole || pager.bytes() + 200 > room, "{held} of {there:?}");
                }
            }
            prop_assert!(pager.bytes() <= room);
            let sum: usize = pager.lines.values().map(Line::bytes).sum();
            prop_assert_eq!(pager.bytes(), sum);
            if pager.epoch() == Some(agent.epoch) {
                for (number, line) in &pager.lines {
                    let text = agent.text(*number);
                    prop_assert!(!line.is_whole() || line.text() == text);
                }
            }
        }
    }
}
