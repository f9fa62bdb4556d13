//! What a restricted token may do with files, what is recorded of it, and what goes on after a caller left.

use std::path::Path;

use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;
use cmdop_proto::{Refusal, v1};
use cmdop_tests::forge::{self, Forge};
use cmdop_tests::{Wire, World, wait};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::files::{noise, on, text};

/// A stream to a machine's files, as a client with any token opens it.
struct Raw {
    requests: mpsc::Sender<v1::FileRequest>,
    answers: Streaming<v1::FileResponse>,
    count: u64,
}

impl Raw {
    async fn open(wire: &Wire, open: v1::FilesOpen) -> Result<Self, Refusal> {
        let (requests, stream) = mpsc::channel(16);
        let request = v1::FileRequest {
            id: 0,
            request: Some(Ask::Open(open)),
        };
        requests.send(request).await.unwrap();
        let opened = wire.files().open(ReceiverStream::new(stream)).await?;
        let mut answers = opened.into_inner();
        answers.message().await.map_err(Refusal::from)?;
        Ok(Self {
            requests,
            answers,
            count: 0,
        })
    }

    async fn ask(&mut self, ask: Ask) -> Result<Option<Response>, Refusal> {
        self.count += 1;
        let request = v1::FileRequest {
            id: self.count,
            request: Some(ask),
        };
        self.requests.send(request).await.unwrap();
        let answer = wait::within("an answer", self.answers.message()).await;
        Ok(answer
            .map_err(Refusal::from)?
            .and_then(|answer| answer.response))
    }
}

fn machine(name: &str) -> v1::FilesOpen {
    v1::FilesOpen {
        machine: name.into(),
        ..v1::FilesOpen::default()
    }
}

fn remove(path: &Path) -> Ask {
    Ask::Remove(v1::FileRemove {
        path: text(path).as_bytes().to_vec().into(),
        recursive: true,
    })
}

fn stat(path: &Path) -> Ask {
    Ask::Stat(v1::FileStat {
        path: text(path).as_bytes().to_vec().into(),
        follow: false,
    })
}

/// A client of the owner whose token has this scope.
async fn scoped(world: &World, scope: &str) -> Wire {
    let genuine = world.owner.access_token().await;
    let forge = Forge::of_control(world.control.data(), &genuine);
    let token = forge.sign(&cmdop_proto::token::Claims {
        scope: Some(cmdop_proto::scope::Scopes::read(scope)),
        ..forge::claims(&genuine)
    });
    Wire::dial(&world.relay.url(), &world.control.ca_pem(), &token).await
}

#[tokio::test]
async fn a_key_for_reading_files_reads_and_changes_nothing_and_other_keys_see_none() {
    let world = World::start().await;
    let file = world.directory().join("file");
    std::fs::write(&file, "x").unwrap();
    let reader = scoped(&world, "sessions:read files:read").await;
    let mut raw = Raw::open(&reader, machine("web-1")).await.unwrap();
    let answer = raw.ask(stat(&file)).await.unwrap();
    assert!(matches!(answer, Some(Response::Entry(_))), "{answer:?}");
    let refused = raw.ask(remove(&file)).await.unwrap_err();
    assert_eq!(refused.reason, "scope-missing");
    let (pieces, stream) = mpsc::channel(1);
    let open = v1::feed_up::Message::Open(v1::FeedOpen {});
    let message = Some(open);
    pieces.send(v1::FeedUp { message }).await.unwrap();
    let feed = reader.files().feed(ReceiverStream::new(stream)).await;
    assert_eq!(Refusal::from(feed.unwrap_err()).reason, "scope-missing");
    let other = scoped(&world, "exec sessions:operate").await;
    let refused = Raw::open(&other, machine("web-1")).await.err().unwrap();
    assert_eq!(refused.reason, "scope-missing");
    let writer = scoped(&world, "files:write").await;
    let mut raw = Raw::open(&writer, machine("web-1")).await.unwrap();
    raw.ask(remove(&file)).await.unwrap();
    assert!(!file.exists());
}

#[tokio::test]
async fn a_feed_is_only_its_owners() {
    let world = World::start().await;
    let member = world.add_account("worker", "member").await;
    let url = world.relay.url();
    let ca = world.control.ca_pem();
    let owner = Wire::dial(&url, &ca, &world.owner.access_token().await).await;
    let (pieces, stream) = mpsc::channel(4);
    let message = Some(v1::feed_up::Message::Open(v1::FeedOpen {}));
    pieces.send(v1::FeedUp { message }).await.unwrap();
    let opened = owner.files().feed(ReceiverStream::new(stream)).await;
    let mut down = opened.unwrap().into_inner();
    let message = down.message().await.unwrap().unwrap().message;
    let Some(v1::feed_down::Message::Opened(opened)) = message else {
        panic!("{message:?}")
    };
    let join = || v1::FilesOpen {
        machine: "web-1".into(),
        feed: opened.feed.clone(),
        ..v1::FilesOpen::default()
    };
    let other = owner.with_token(&member.access_token().await);
    let refused = Raw::open(&other, join()).await.err().unwrap();
    assert_eq!(refused.reason, "feed-unknown");
    // Nor can another one's reading be led into it.
    let mut raw = Raw::open(&other, machine("web-1")).await.unwrap();
    let fetch = Ask::Fetch(v1::FileFetch {
        paths: vec!["/etc/hostname".into()],
        carry: Some(v1::FileCarry {
            feed: opened.feed.clone(),
            to: vec!["/tmp/x".into()],
            ..v1::FileCarry::default()
        }),
    });
    let refused = raw.ask(fetch).await.unwrap_err();
    assert_eq!(refused.reason, "feed-unknown");
    let mut own = Raw::open(&owner, join()).await.unwrap();
    let piece = Ask::Piece(v1::FilePiece {
        number: u64::MAX,
        ..v1::FilePiece::default()
    });
    let refused = own.ask(piece).await.unwrap_err();
    assert_eq!(refused.reason, "bad-request");
}

#[tokio::test]
async fn every_change_is_recorded_by_the_relay_and_by_the_agent() {
    let world = World::start().await;
    let large = world.directory().join("large");
    std::fs::write(&large, noise(300 << 10)).unwrap();
    let small = world.directory().join("small");
    std::fs::write(&small, "small").unwrap();
    let top = world.directory().join("top");
    std::fs::create_dir(&top).unwrap();
    let at = |name: &str| on("web-1", &top.join(name));
    for args in [
        ["cp", text(&large), &at("large")].as_slice(),
        &["cp", text(&small), &at("small")],
        &["fs", "mkdir", &at("directory")],
        &["fs", "mv", &at("small"), text(&top.join("moved"))],
        &["fs", "rm", "-r", &at("large")],
    ] {
        world.cmdop(args).await.ok();
    }
    let refused = world.cmdop(&["fs", "rm", &at("nothing")]).await;
    refused.refused(69, &["no such file"]);
    let logs = world.directory().join("logs");
    for log in ["relay", "cmdopd-web-1"] {
        let recorded = |verb: &str, name: &str, outcome: &str| {
            let text = std::fs::read_to_string(logs.join(log)).unwrap();
            let path = top.join(name).display().to_string();
            text.lines().any(|line| {
                let has = |word: &str| line.contains(word);
                has("file-changed") && has(&path) && has(verb) && has(outcome) && has("owner")
            })
        };
        for (verb, name, outcome) in [
            ("write", "large", "done"),
            ("put", "small", "done"),
            ("mkdir", "directory", "done"),
            ("rename", "moved", "done"),
            ("remove", "large", "done"),
            ("remove", "nothing", "file-unknown"),
        ] {
            wait::until_true("the record", || recorded(verb, name, outcome)).await;
        }
        let text = std::fs::read_to_string(logs.join(log)).unwrap();
        assert!(text.contains("307200"), "the bytes are in {log}");
    }
}

#[tokio::test]
async fn a_removal_ends_when_its_caller_has_left() {
    const EACH: usize = 50_000;
    let world = World::start().await;
    let top = world.directory().join("top");
    for directory in 0..6 {
        let directory = top.join(format!("d{directory}"));
        std::fs::create_dir_all(&directory).unwrap();
        let first = directory.join("first");
        std::fs::write(&first, "").unwrap();
        for file in 1..EACH {
            std::fs::hard_link(&first, directory.join(format!("{file}"))).unwrap();
        }
    }
    let args = ["fs", "rm", "-r", &on("web-1", &top)];
    let mut child = world.owner.cli.start(&args);
    let left = || {
        let directories = std::fs::read_dir(&top).into_iter().flatten().flatten();
        directories
            .filter_map(|directory| std::fs::metadata(directory.path().join("first")).ok())
            .map(|about| std::os::unix::fs::MetadataExt::nlink(&about))
            .sum::<u64>()
    };
    let all = left();
    wait::until_true("the removal has begun", || left() < all).await;
    child.kill().await.unwrap();
    // It stands still, and not because it is done.
    let mut before = left();
    wait::until("the removal stands still", || {
        let (now, then) = (left(), std::mem::replace(&mut before, left()));
        async move {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            (now == then).then_some(())
        }
    })
    .await;
    assert!(top.exists(), "all was removed");
}
