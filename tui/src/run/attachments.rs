//! The attachments of all panes, each on a task of its own with a way of its own to the loop.
//!
//! The one that somebody types into is heard first, the others in turn: no session's flood stands
//! before another's echo, and none can starve the rest.

use std::collections::BTreeMap;
use std::task::{Context, Poll};

use bytes::Bytes;
use cmdop_client::Connection;
use cmdop_client::attach::{self, Attachment, Event, Keys, Options};
use cmdop_proto::v1::{AttachMode, KeyboardChange};
use cmdop_proto::{Refusal, SessionId, Size};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::app::Msg;
use crate::pane::AttachmentId;

/// Messages on their way from one attachment. Few: what a session prints waits at the relay, where a
/// client that falls behind jumps to a keyframe, and not here, where Ctrl-C's answer would stand behind it.
const MESSAGES: usize = 4;

/// Inputs on their way to a session: a whole paste in pieces, so that the loop never waits.
const INPUTS: usize = 512;

/// Output is taken in by pieces of this length: between two of them a key, or another pane, has its turn.
const PIECE: usize = 16 << 10;

/// See the module.
pub(super) struct Attachments {
    connection: Connection,
    open: BTreeMap<AttachmentId, Open>,
    favoured: Option<AttachmentId>,
    /// Which of the others was heard last.
    heard: AttachmentId,
}

/// The way to an attachment; it may not be open yet.
struct Open {
    wishes: watch::Sender<Wishes>,
    inputs: mpsc::Sender<Wish>,
    messages: mpsc::Receiver<Msg>,
    /// Ends with this.
    _task: JoinSet<()>,
}

/// What only counts in its newest form.
#[derive(Clone, Copy, Debug, Default)]
struct Wishes {
    size: Option<Size>,
}

/// What is done in the order of its coming.
enum Wish {
    Type(Bytes),
    Keyboard(KeyboardChange),
    Redraw,
}

impl Attachments {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            open: BTreeMap::new(),
            favoured: None,
            heard: AttachmentId::default(),
        }
    }

    pub(super) fn attach(
        &mut self,
        id: AttachmentId,
        session: SessionId,
        mode: AttachMode,
        size: Option<Size>,
    ) {
        let options = Options {
            session: session.to_string(),
            mode,
            size,
            latest: None,
            from_start: false,
        };
        let (tell, messages) = mpsc::channel(MESSAGES);
        let (inputs, wished) = mpsc::channel(INPUTS);
        let (wishes, sizes) = watch::channel(Wishes { size });
        let mut task = JoinSet::new();
        task.spawn(serve(
            self.connection.clone(),
            id,
            options,
            tell,
            wished,
            sizes,
        ));
        self.open.insert(
            id,
            Open {
                wishes,
                inputs,
                messages,
                _task: task,
            },
        );
    }

    pub(super) fn detach(&mut self, id: AttachmentId) {
        self.open.remove(&id);
    }

    pub(super) fn favour(&mut self, id: AttachmentId) {
        self.favoured = Some(id);
    }

    pub(super) fn input(&mut self, id: AttachmentId, bytes: Bytes) -> Result<(), Refusal> {
        self.wish(id, Wish::Type(bytes))
    }

    pub(super) fn keyboard(&mut self, id: AttachmentId, change: KeyboardChange) {
        // What cannot be asked now can be asked again; what stands in the way says so itself.
        let _ = self.wish(id, Wish::Keyboard(change));
    }

    pub(super) fn redraw(&mut self, id: AttachmentId) {
        let _ = self.wish(id, Wish::Redraw);
    }

    pub(super) fn resize(&mut self, id: AttachmentId, size: Size) {
        if let Some(open) = self.open.get(&id) {
            open.wishes.send_modify(|wishes| wishes.size = Some(size));
        }
    }

    fn wish(&mut self, id: AttachmentId, wish: Wish) -> Result<(), Refusal> {
        let Some(open) = self.open.get(&id) else {
            return Ok(());
        };
        match open.inputs.try_send(wish) {
            Err(mpsc::error::TrySendError::Full(_)) => {
                let what = "the session takes no more input: keys are lost";
                let why = Refusal::exhausted("input-full", what);
                Err(why.hint("its program reads nothing, or the connection is slow"))
            }
            // One that is over says so by itself.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }

    /// The next message of any of them. Cancel-safe.
    pub(super) async fn next(&mut self) -> Msg {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// A message that is there already.
    pub(super) fn try_next(&mut self) -> Option<Msg> {
        let favoured = self.favoured.and_then(|id| self.open.get_mut(&id));
        if let Some(message) = favoured.and_then(|open| open.messages.try_recv().ok()) {
            return Some(message);
        }
        let heard = self.heard;
        let (before, after) = split(&mut self.open, heard);
        let mut found = after.chain(before).filter_map(|(id, open)| {
            let message = open.messages.try_recv().ok()?;
            Some((*id, message))
        });
        let (id, message) = found.next()?;
        drop(found);
        self.heard = id;
        Some(message)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Msg> {
        let favoured = self.favoured.and_then(|id| self.open.get_mut(&id));
        if let Some(open) = favoured
            && let Poll::Ready(Some(message)) = open.messages.poll_recv(context)
        {
            return Poll::Ready(message);
        }
        let heard = self.heard;
        let (before, after) = split(&mut self.open, heard);
        for (id, open) in after.chain(before) {
            if let Poll::Ready(Some(message)) = open.messages.poll_recv(context) {
                self.heard = *id;
                return Poll::Ready(message);
            }
        }
        Poll::Pending
    }
}

type Entry<'a> = (&'a AttachmentId, &'a mut Open);

/// Those up to the one that was heard last, and those after it.
fn split(
    open: &mut BTreeMap<AttachmentId, Open>,
    heard: AttachmentId,
) -> (
    impl Iterator<Item = Entry<'_>>,
    impl Iterator<Item = Entry<'_>>,
) {
    let (before, after): (Vec<_>, Vec<_>) = open.iter_mut().partition(|(id, _)| **id <= heard);
    (before.into_iter(), after.into_iter())
}

/// Opens an attachment and moves what comes and goes until either end leaves.
async fn serve(
    connection: Connection,
    id: AttachmentId,
    options: Options,
    tell: mpsc::Sender<Msg>,
    wished: mpsc::Receiver<Wish>,
    sizes: watch::Receiver<Wishes>,
) {
    let attachment = match attach::open(&connection, options).await {
        Ok(attachment) => attachment,
        Err(error) => {
            let _ = tell.send(Msg::Attached(id, Err(error.refusal()))).await;
            return;
        }
    };
    let answer = Msg::Attached(id, Ok(attachment.session().clone()));
    if tell.send(answer).await.is_err() {
        return;
    }
    let keys = attachment.keys();
    // In one task, side by side: typing may wait for the agent while output has to go on.
    tokio::join!(hear(attachment, id, tell), speak(keys, wished, sizes));
}

async fn hear(mut attachment: Attachment, id: AttachmentId, tell: mpsc::Sender<Msg>) {
    while let Some(event) = attachment.next().await {
        for event in pieces(event) {
            if tell.send(Msg::Pane(id, event)).await.is_err() {
                return;
            }
        }
    }
}

/// Long output in pieces, each at its own offset; only the last one answers what the whole does.
fn pieces(event: Event) -> impl Iterator<Item = Event> {
    let mut left = Some(event);
    std::iter::from_fn(move || match left.take()? {
        Event::Output {
            offset,
            mut data,
            reached,
            echo,
        } if data.len() > PIECE => {
            let piece = data.split_to(PIECE);
            left = Some(Event::Output {
                offset: offset.advance(PIECE),
                data,
                reached,
                echo,
            });
            Some(Event::Output {
                offset,
                data: piece,
                reached: None,
                echo,
            })
        }
        other => Some(other),
    })
}

async fn speak(keys: Keys, mut wished: mpsc::Receiver<Wish>, mut sizes: watch::Receiver<Wishes>) {
    loop {
        // Cancel-safe: each takes one whole item.
        tokio::select! {
            wish = wished.recv() => match wish {
                Some(Wish::Type(bytes)) => if !keys.input(bytes).await { return },
                Some(Wish::Keyboard(change)) => { keys.keyboard(change); }
                Some(Wish::Redraw) => keys.redraw(),
                None => return,
            },
            changed = sizes.changed() => {
                if changed.is_err() {
                    return;
                }
                let size = sizes.borrow_and_update().size;
                if let Some(size) = size {
                    keys.resize(size);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cmdop_proto::{Offset, v1};

    use super::*;

    #[test]
    fn long_output_comes_in_pieces_that_join_without_a_gap() {
        let data = Bytes::from(vec![b'x'; PIECE * 2 + 5]);
        let offset = Offset::START.advance(100);
        let mut next = offset;
        let mut bytes = 0;
        let output = Event::Output {
            offset,
            data,
            reached: Some(7),
            echo: v1::Echo::Terminal,
        };
        for event in pieces(output) {
            let Event::Output { offset, data, .. } = event else {
                panic!("only output")
            };
            assert_eq!(offset, next);
            assert!(data.len() <= PIECE);
            next = next.advance(data.len());
            bytes += data.len();
        }
        assert_eq!(bytes, PIECE * 2 + 5);
        assert_eq!(pieces(Event::Reconnected).count(), 1);
    }
}
