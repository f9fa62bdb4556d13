//! One stream to all members: takes what is asked of the group, asks each, and answers for all.
//!
//! All members are asked the same, so a question has the same number on each of their streams.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, v1};
use futures_util::stream::{BoxStream, SelectAll, StreamExt as _, unfold};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Group;
use super::member::{Question, Quorum, Verdict};
use crate::error::Error;
use crate::files::{Answers, Asker, Feed, Files};

/// How much later than others a member may answer where all are waited for.
const LATE: Duration = Duration::from_secs(10);

/// And how long the last ones may take for what was sent to them.
const LAST: Duration = Duration::from_secs(60);

type Answered = (usize, Result<v1::FileResponse, Error>);

/// See the module.
pub(super) struct Round {
    group: Arc<Group>,
    feed: Option<Feed>,
    members: BTreeMap<usize, Member>,
    answers: SelectAll<BoxStream<'static, Answered>>,
    questions: VecDeque<Question>,
    /// The number of the first question that is kept, on the streams of members.
    first: u64,
    /// How many of them have their answer.
    told: usize,
    outbox: VecDeque<v1::FileResponse>,
}

struct Member {
    asker: Asker,
    /// The answer that is coming.
    parts: Vec<v1::FileResponse>,
    /// Ends its stream.
    _over: DropGuard,
}

impl Round {
    pub(super) fn new(group: Arc<Group>, feed: Option<Feed>, files: Vec<(usize, Files)>) -> Self {
        let mut round = Self {
            group,
            feed,
            members: BTreeMap::new(),
            answers: SelectAll::new(),
            questions: VecDeque::new(),
            first: 1,
            told: 0,
            outbox: VecDeque::new(),
        };
        for (member, files) in files {
            let over = CancellationToken::new();
            let ended = over.clone().cancelled_owned();
            let answers = answers(member, files.answers).take_until(Box::pin(ended));
            round.answers.push(answers.boxed());
            let state = Member {
                asker: files.asker,
                parts: Vec::new(),
                _over: over.drop_guard(),
            };
            round.members.insert(member, state);
        }
        round
    }

    /// Until nobody asks and all is answered, or nobody is left.
    pub(super) async fn run(
        mut self,
        mut asked: mpsc::Receiver<v1::FileRequest>,
        answers: mpsc::Sender<v1::FileResponse>,
    ) {
        let mut is_asked = true;
        let mut last = None;
        while !self.members.is_empty() {
            if !is_asked {
                self.forget_silence();
                if self.questions.is_empty() {
                    return;
                }
            }
            let late = self.late(last);
            // All branches are cancel-safe; who waits for an answer comes first.
            tokio::select! {
                biased;
                permit = answers.reserve(), if !self.outbox.is_empty() => match permit {
                    Ok(permit) => if let Some(answer) = self.outbox.pop_front() {
                        permit.send(answer);
                    },
                    // Nobody listens; what was sent is still written.
                    Err(_) => self.outbox.clear(),
                },
                Some((member, answer)) = self.answers.next() => self.answered(member, answer),
                request = next(&mut asked, self.feed.as_mut()), if is_asked && self.outbox.is_empty() => {
                    match request {
                        Some(request) => self.ask(request).await,
                        None => {
                            is_asked = false;
                            last = Some(Instant::now());
                        }
                    }
                }
                () = tokio::time::sleep_until(late.unwrap_or_else(Instant::now)), if late.is_some() => {
                    self.leave_late(last);
                }
            }
        }
    }

    async fn ask(&mut self, request: v1::FileRequest) {
        let Some(ask) = request.request else { return };
        if let Ask::Open(_) = ask {
            return self.open(request.id);
        }
        let quorum = Quorum::of(&ask);
        let ask = match (ask, &mut self.feed) {
            (ask @ (Ask::Write(_) | Ask::Put(_)), Some(feed)) => match feed.push(ask).await {
                Ok(number) => Ask::Piece(v1::FilePiece {
                    number,
                    is_silent: quorum == Quorum::Silent,
                }),
                Err(error) => return self.dissolve(&error),
            },
            // What an earlier try left differs from member to member.
            (Ask::Create(create), _) => Ask::Create(v1::FileCreate {
                resume: false,
                ..create
            }),
            (ask, _) => ask,
        };
        self.leave_with_others();
        let mut full = Vec::new();
        for (member, state) in &mut self.members {
            if state.asker.try_ask(ask.clone()).is_err() {
                full.push(*member);
            }
        }
        let question = Question::new(request.id, quorum, self.members.keys().copied());
        self.questions.push_back(question);
        for member in full {
            self.leave(member, behind());
        }
    }

    /// What the group is opened with: each of its streams was.
    fn open(&mut self, id: u64) {
        let opened = v1::FilesOpened {
            access: v1::FileAccess::Write.into(),
            ..v1::FilesOpened::default()
        };
        self.outbox.push_back(v1::FileResponse {
            id,
            last: true,
            response: Some(Response::Opened(opened)),
        });
    }

    fn answered(&mut self, member: usize, answer: Result<v1::FileResponse, Error>) {
        let Some(state) = self.members.get_mut(&member) else {
            return;
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.leave(member, error.refusal()),
        };
        let number = answer.id;
        let is_last = answer.last;
        state.parts.push(answer);
        if !is_last {
            return;
        }
        let parts = std::mem::take(&mut state.parts);
        let Some(index) = number
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok())
            .filter(|index| *index < self.questions.len())
        else {
            return self.leave(member, crate::files::unexpected().refusal());
        };
        let mut before = self.questions.range_mut(..index);
        if !before.all(|question| question.may_pass(member)) {
            return self.leave(member, crate::files::unexpected().refusal());
        }
        self.questions[index].said(member, parts, Instant::now());
        self.judge();
    }

    /// Tells what is known, in the order of the questions; those who said something else leave.
    fn judge(&mut self) {
        while let Some(question) = self.questions.get_mut(self.told) {
            match question.verdict() {
                Verdict::Open => break,
                Verdict::Silence => {}
                Verdict::Answer(parts) => {
                    let id = question.id;
                    let own = parts
                        .into_iter()
                        .map(|part| v1::FileResponse { id, ..part });
                    self.outbox.extend(own);
                }
            }
            self.told += 1;
        }
        let different = self.questions.range(..self.told).find_map(|question| {
            let different = question.different();
            (!different.is_empty()).then_some(different)
        });
        for member in different.into_iter().flatten() {
            self.leave(member, differs());
        }
        while self.told > 0 && self.questions.front().is_some_and(Question::is_over) {
            self.questions.pop_front();
            self.first += 1;
            self.told -= 1;
        }
    }

    fn leave(&mut self, member: usize, why: Refusal) {
        if self.members.remove(&member).is_none() {
            return;
        }
        self.group.leaves(member, why);
        for question in &mut self.questions {
            question.left(member);
        }
        self.judge();
    }

    /// Those who left on another stream of the group leave here too.
    fn leave_with_others(&mut self) {
        let gone: Vec<usize> = {
            let left = self.group.left();
            let present = self.members.keys().copied();
            present.filter(|member| left.contains_key(member)).collect()
        };
        for member in gone {
            self.leave(member, differs());
        }
    }

    fn dissolve(&mut self, why: &Error) {
        for member in self.members.keys().copied().collect::<Vec<_>>() {
            self.leave(member, why.refusal());
        }
    }

    /// When somebody is waited for in vain.
    fn late(&self, last: Option<Instant>) -> Option<Instant> {
        let waiting = self.questions.get(self.told).and_then(Question::late);
        let late = waiting.map(|(since, _)| since + LATE);
        let last = last.map(|last| last + LAST);
        late.into_iter().chain(last).min()
    }

    fn leave_late(&mut self, last: Option<Instant>) {
        let now = Instant::now();
        if last.is_some_and(|last| now >= last + LAST) {
            return self.dissolve(&Error::Refused(behind()));
        }
        let waiting = self.questions.get(self.told).and_then(Question::late);
        let Some((_, late)) = waiting.filter(|(since, _)| now >= *since + LATE) else {
            return;
        };
        for member in late.clone() {
            self.leave(member, behind());
        }
    }

    /// Pieces at the end that nobody has to answer are not waited for.
    fn forget_silence(&mut self) {
        while self.questions.back().is_some_and(Question::is_silent) {
            self.questions.pop_back();
        }
        self.told = self.told.min(self.questions.len());
    }
}

/// The next question, when there is room for what it may carry. `None`: there are no more. Cancel-safe.
async fn next(
    asked: &mut mpsc::Receiver<v1::FileRequest>,
    feed: Option<&mut Feed>,
) -> Option<v1::FileRequest> {
    if let Some(feed) = feed {
        // A feed that is over is noticed by its streams.
        let _ = feed.ready().await;
    }
    asked.recv().await
}

/// The answers of a member, until its stream is over.
fn answers(member: usize, answers: Answers) -> impl futures_util::Stream<Item = Answered> + Send {
    unfold(Some(answers), move |answers| async move {
        let mut answers = answers?;
        let answer = answers.next().await;
        let next = answer.is_ok().then_some(answers);
        Some(((member, answer), next))
    })
}

fn behind() -> Refusal {
    Refusal::unavailable("feed-behind", "it answers much later than the others")
}

fn differs() -> Refusal {
    Refusal::unavailable("group-differs", "it answers otherwise than the others")
}
