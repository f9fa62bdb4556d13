//! What ends answer, and what becomes of it. An answer to an older question changes nothing.

use std::time::Duration;

use bytes::Bytes;
use cmdop_proto::Refusal;

use super::found::{MAX_MATCHES, State as Search};
use super::jobs::{Ended, JobEvent, JobId, State};
use super::work::What;
use super::{Browser, Effect, Event, Listing, Match, Place, Spot};
use crate::view::text;

impl Browser {
    /// Something happened at an end.
    pub fn happened(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = match event {
            Event::Listed(place, number, answer) => self.listed(place, number, answer),
            Event::Stale(place, number) => self.stale(place, number),
            Event::Previewed(number, content) => {
                if let Some(preview) = &mut self.preview
                    && preview.asked == number
                {
                    preview.content = content;
                }
                return Vec::new();
            }
            Event::Found(number, answer) => return self.found_more(number, answer),
            Event::Present(number, answer) => self.present(number, answer),
            Event::Changed(spot, answer) => self.changed(&spot, answer),
            Event::Job(id, event) => self.job(id, event),
        };
        effects.extend(self.follow_preview());
        effects
    }

    /// A directory. What turns out to be a file, as where a link leads to one, is selected in its directory.
    fn listed(
        &mut self,
        place: Place,
        number: u64,
        answer: Result<Listing, Refusal>,
    ) -> Vec<Effect> {
        let is_file = matches!(&answer, Err(why) if why.reason == "file-no-directory");
        if !self.side_mut(place).answered(number, answer) || !is_file {
            return Vec::new();
        }
        match self.side(place).above() {
            Some((spot, name)) => vec![self.go(place, spot, Some(name))],
            None => Vec::new(),
        }
    }

    /// What a side shows is not what is there any more.
    fn stale(&mut self, place: Place, number: u64) -> Vec<Effect> {
        if self.side(place).is_answer_to(number) {
            vec![self.list(place)]
        } else {
            Vec::new()
        }
    }

    fn found_more(
        &mut self,
        number: u64,
        answer: Result<Option<Vec<Match>>, Refusal>,
    ) -> Vec<Effect> {
        let found = self.found.as_mut().filter(|found| found.asked == number);
        let Some(found) = found.filter(|found| found.state == Search::Searching) else {
            return Vec::new();
        };
        match answer {
            Ok(Some(matches)) => found.more(matches),
            Ok(None) => found.state = Search::Done,
            Err(why) => found.state = Search::Failed(why),
        }
        if found.matches.len() >= MAX_MATCHES && found.state == Search::Searching {
            found.state = Search::Full;
            return vec![Effect::NoFind];
        }
        Vec::new()
    }

    /// Something was renamed or made: both sides look again, and the one with the keys goes to it.
    fn changed(&mut self, spot: &Spot, answer: Result<Bytes, Refusal>) -> Vec<Effect> {
        let name = match answer {
            Ok(name) => name,
            Err(why) => return vec![Effect::Complain(why)],
        };
        if self.here().spot() == spot {
            self.here_mut().will_select(name);
        }
        self.look_again(|shown| shown == spot)
    }

    /// Asks anew for what is shown of these directories.
    fn look_again(&mut self, is_changed: impl Fn(&Spot) -> bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        for place in Place::BOTH {
            if is_changed(self.side(place).spot()) {
                effects.push(self.list(place));
            }
        }
        effects
    }

    fn job(&mut self, id: JobId, event: JobEvent) -> Vec<Effect> {
        let now = self.now;
        let Some(job) = self.jobs.find(id).filter(|job| job.is_live()) else {
            return Vec::new();
        };
        let mut has_all = true;
        let said = match event {
            JobEvent::Progress(progress) => {
                job.progress = progress;
                return Vec::new();
            }
            JobEvent::Failed(why) => {
                job.state = State::Failed;
                job.note.clone_from(&why.message);
                Effect::Complain(why)
            }
            JobEvent::Ended(ended) => {
                let took = job.began.map(|began| now.saturating_duration_since(began));
                let said = said(&job.work, &ended, took.unwrap_or_default());
                job.state = match (&ended, said.is_ok()) {
                    (
                        Ended {
                            is_cancelled: true, ..
                        },
                        _,
                    ) => State::Cancelled,
                    (_, true) => State::Done,
                    (_, false) => State::Failed,
                };
                has_all = ended.skipped == 0;
                job.progress = ended.progress;
                job.failures = ended.failures;
                job.progress.rate = 0;
                job.progress.left = None;
                match said {
                    Ok(said) => {
                        job.note.clone_from(&said);
                        Effect::Say(said)
                    }
                    Err(why) => {
                        job.note.clone_from(&why.message);
                        Effect::Complain(why)
                    }
                }
            }
        };
        job.ended = Some(now);
        let work = job.work.clone();
        // What was skipped is still there, and the next look tells what that is.
        let is_done = job.state == State::Done && has_all;
        if is_done && matches!(work.what, What::Delete | What::Move) {
            self.gone(&work);
        }
        let mut effects = vec![said];
        effects.extend(self.begin());
        effects.extend(self.look_again(|shown| work.touches(shown)));
        effects
    }

    /// What was moved or deleted is not shown any more, so that the next key is not about it; a new look follows.
    fn gone(&mut self, work: &super::Work) {
        for place in Place::BOTH {
            if *self.side(place).spot() == work.from {
                self.side_mut(place).without(&work.names);
            }
        }
    }

    /// What is under way, if leaving would end it: half a sentence.
    pub fn unfinished(&self) -> Option<String> {
        let count = self.jobs.unfinished().count();
        match count {
            0 => None,
            1 => self.jobs.unfinished().next().map(|job| job.work.title()),
            count => Some(format!("{count} transfers")),
        }
    }
}

/// What there is to say at the end, good or bad.
fn said(work: &super::Work, ended: &Ended, took: Duration) -> Result<String, Refusal> {
    let title = work.title();
    if ended.is_cancelled {
        return Ok(format!("ended: {title}"));
    }
    if ended.failed > 0 {
        let first = ended.failures.first().cloned().unwrap_or_default();
        let more = match ended.failed {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let why = format!("{title}: {first}{more}");
        return Err(Refusal::internal(why).hint("the list of transfers has it, and can try again"));
    }
    let done = work.what.done();
    let subject = work.subject();
    let all = match work.what {
        What::Delete => format!("{done} {subject} in {}", work.from.shown()),
        What::Verify => format!("{done} {subject}: the same at {}", work.to.shown()),
        _ => format!("{done} {subject} to {}", work.to.shown()),
    };
    let bytes = match ended.progress.bytes_done {
        0 => String::new(),
        bytes => format!(", {} in {}", text::bytes(bytes), text::age(took)),
    };
    let skipped = match ended.skipped {
        0 => String::new(),
        count => format!(", {count} left as they were"),
    };
    Ok(format!("{all}{bytes}{skipped}"))
}
