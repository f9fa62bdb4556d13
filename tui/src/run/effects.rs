//! Doing what the model wants: calls and the one attachment, each on a task of its own. Their answers
//! come back as messages.

use bytes::Bytes;
use cmdop_client::attach::{self, Attachment, Keys, Options};
use cmdop_client::{Connection, sessions};
use cmdop_proto::{Refusal, SessionId, Size, v1};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use uuid::Uuid;

use crate::app::{Effect, Msg};
use crate::pane::AttachmentId;

/// Messages on their way to the loop. Few: what a session prints waits at the relay, where a client
/// that falls behind jumps to a keyframe, and not here, where Ctrl-C's answer would stand behind it.
const MESSAGES: usize = 8;

/// Inputs on their way to the session: a whole paste in pieces, so that the loop never waits.
const INPUTS: usize = 512;

/// See the module.
pub(super) struct Effects {
    connection: Connection,
    tell: mpsc::Sender<Msg>,
    messages: mpsc::Receiver<Msg>,
    tasks: JoinSet<()>,
    attached: Option<Attached>,
}

/// The way to the attachment; it may not be open yet.
struct Attached {
    attachment: AttachmentId,
    inputs: mpsc::Sender<Bytes>,
    size: watch::Sender<Option<Size>>,
    task: AbortHandle,
}

impl Effects {
    pub(super) fn new(connection: Connection) -> Self {
        let (tell, messages) = mpsc::channel(MESSAGES);
        Self {
            connection,
            tell,
            messages,
            tasks: JoinSet::new(),
            attached: None,
        }
    }

    /// The next message. Cancel-safe.
    pub(super) async fn next(&mut self) -> Msg {
        match self.messages.recv().await {
            Some(message) => message,
            None => unreachable!("this holds a sender"),
        }
    }

    /// A message that is there already.
    pub(super) fn try_next(&mut self) -> Option<Msg> {
        self.messages.try_recv().ok()
    }

    pub(super) fn run(&mut self, effect: Effect) {
        // What has ended is forgotten.
        while self.tasks.try_join_next().is_some() {}
        match effect {
            Effect::Attach {
                attachment,
                session,
                mode,
                size,
            } => {
                let options = Options {
                    session: session.to_string(),
                    mode,
                    size,
                    latest: None,
                    from_start: false,
                };
                self.attach(attachment, options);
            }
            Effect::Input(bytes) => self.input(bytes),
            Effect::Resize(size) => {
                if let Some(attached) = &self.attached {
                    attached.size.send_replace(Some(size));
                }
            }
            Effect::Create {
                request,
                machine,
                size,
            } => {
                let wanted = v1::CreateSessionRequest {
                    request_id: Uuid::now_v7().to_string(),
                    machine: machine.to_string(),
                    size: Some(size.into()),
                    ..v1::CreateSessionRequest::default()
                };
                self.create(request, wanted);
            }
            Effect::Close(session) => self.close(session),
            // The loop's own.
            Effect::Bell | Effect::Quit => {}
        }
    }

    fn create(&mut self, request: u64, wanted: v1::CreateSessionRequest) {
        let (connection, tell) = (self.connection.clone(), self.tell.clone());
        self.tasks.spawn(async move {
            let answer = sessions::create(&connection, wanted).await;
            let _ = tell
                .send(Msg::Created(
                    request,
                    answer.map_err(|error| error.refusal()),
                ))
                .await;
        });
    }

    fn close(&mut self, session: SessionId) {
        let (connection, tell) = (self.connection.clone(), self.tell.clone());
        self.tasks.spawn(async move {
            let answer = sessions::close(&connection, &session.to_string()).await;
            let _ = tell
                .send(Msg::Closed(answer.map_err(|error| error.refusal())))
                .await;
        });
    }

    fn input(&mut self, bytes: Bytes) {
        let Some(attached) = &self.attached else {
            return;
        };
        if attached.inputs.try_send(bytes).is_err() {
            let why = Refusal::exhausted(
                "input-full",
                "the session takes no more input: keys are lost",
            )
            .hint("its program reads nothing, or the connection is slow");
            let lost = Msg::Pane(attached.attachment, attach::Event::Refused(why));
            // With no room for the message either, the next key tries again.
            let _ = self.tell.try_send(lost);
        }
    }

    /// Ends the attachment before it, if there is one.
    fn attach(&mut self, attachment: AttachmentId, options: Options) {
        if let Some(before) = self.attached.take() {
            before.task.abort();
        }
        let (inputs, typed) = mpsc::channel(INPUTS);
        let (size, sizes) = watch::channel(options.size);
        let serving = serve(
            self.connection.clone(),
            attachment,
            options,
            self.tell.clone(),
            typed,
            sizes,
        );
        let task = self.tasks.spawn(serving);
        self.attached = Some(Attached {
            attachment,
            inputs,
            size,
            task,
        });
    }
}

/// Opens an attachment and moves what comes and goes until either end leaves.
async fn serve(
    connection: Connection,
    id: AttachmentId,
    options: Options,
    tell: mpsc::Sender<Msg>,
    typed: mpsc::Receiver<Bytes>,
    sizes: watch::Receiver<Option<Size>>,
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
    tokio::join!(hear(attachment, id, tell), speak(keys, typed, sizes));
}

async fn hear(mut attachment: Attachment, id: AttachmentId, tell: mpsc::Sender<Msg>) {
    while let Some(event) = attachment.next().await {
        if tell.send(Msg::Pane(id, event)).await.is_err() {
            return;
        }
    }
}

async fn speak(
    keys: Keys,
    mut typed: mpsc::Receiver<Bytes>,
    mut sizes: watch::Receiver<Option<Size>>,
) {
    loop {
        // Cancel-safe: each takes one whole item.
        tokio::select! {
            bytes = typed.recv() => match bytes {
                Some(bytes) => if !keys.input(bytes).await { return },
                None => return,
            },
            changed = sizes.changed() => {
                if changed.is_err() {
                    return;
                }
                let size = *sizes.borrow_and_update();
                if let Some(size) = size {
                    keys.resize(size);
                }
            }
        }
    }
}
