//! Feeds between streams that wait for one another, on paused time.

use std::future::poll_fn;

use cmdop_proto::{feed, limits, v1};

use super::*;

fn owner() -> Owner {
    Owner {
        workspace: WorkspaceId::new(),
        account: "ada".into(),
    }
}

fn piece(bytes: usize) -> Piece {
    let write = v1::FileWrite {
        data: vec![7; bytes].into(),
        ..v1::FileWrite::default()
    };
    Piece::new(Ask::Write(write)).unwrap()
}

async fn push(producer: &mut Producer, piece: &Piece) -> Result<u64, Refusal> {
    poll_fn(|cx| producer.poll_push(cx, piece))
        .await
        .map(|(number, _)| number)
}

async fn take(reader: &Reader, number: u64) -> Result<Ask, Refusal> {
    poll_fn(|cx| reader.poll_take(cx, number)).await
}

#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_a_piece_and_a_producer_for_room() {
    let feeds = Feeds::default();
    let guard = feeds.open(owner(), 1).unwrap();
    let reader = guard.feed.join(CancellationToken::new()).unwrap();
    let mut producer = Producer::new(guard.feed.clone());
    let large = piece(limits::FILE_PIECE);
    let reading = async {
        for number in 0..80 {
            assert_eq!(take(&reader, number).await.unwrap(), *large.ask());
        }
    };
    let writing = async {
        for number in 0..80 {
            assert_eq!(push(&mut producer, &large).await, Ok(number));
        }
    };
    tokio::join!(reading, writing);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_left_behind_and_the_others_go_on() {
    let feeds = Feeds::default();
    let guard = feeds.open(owner(), 1).unwrap();
    let over = CancellationToken::new();
    let stuck = guard.feed.join(over.clone()).unwrap();
    let reader = guard.feed.join(CancellationToken::new()).unwrap();
    let mut producer = Producer::new(guard.feed.clone());
    let large = piece(limits::FILE_PIECE);
    let begun = Instant::now();
    for number in 0..80 {
        push(&mut producer, &large).await.unwrap();
        take(&reader, number).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(over.is_cancelled());
    assert_eq!(stuck.refusal().unwrap().reason, "feed-behind");
    assert_eq!(reader.refusal(), None);
}

#[tokio::test(start_paused = true)]
async fn pieces_without_contents_fill_a_window_too() {
    let feeds = Feeds::default();
    let guard = feeds.open(owner(), 1).unwrap();
    let _idle = guard.feed.join(CancellationToken::new()).unwrap();
    let mut producer = Producer::new(guard.feed.clone());
    let empty = piece(0);
    let mut kept = 0;
    while kept < 1_000_000 {
        let pushed = poll_fn(|cx| Poll::Ready(producer.poll_push(cx, &empty))).await;
        if pushed.is_pending() {
            break;
        }
        kept += 1;
    }
    assert_eq!(kept, limits::FEED_WINDOW / feed::PIECE);
}

#[tokio::test(start_paused = true)]
async fn whoever_keeps_to_its_credit_never_waits_and_finds_the_window_full_when_it_stops() {
    let feeds = Feeds::default();
    let guard = feeds.open(owner(), 1).unwrap();
    let _idle = guard.feed.join(CancellationToken::new()).unwrap();
    let mut producer = Producer::new(guard.feed.clone());
    let files = vec![v1::SmallFile::default(); limits::MAX_STAGED];
    let pieces = [
        piece(0),
        Piece::new(Ask::Put(v1::FilePut { files })).unwrap(),
        piece(limits::FILE_PIECE),
    ];
    // What a client does: it counts by itself, and stops where the next piece might not fit.
    let mut sent = 0;
    for piece in pieces.iter().cycle() {
        if sent > feed::FULL {
            break;
        }
        assert!(!guard.feed.lock().window.is_full());
        sent += feed::charge(piece.ask()).unwrap();
        let pushed = poll_fn(|cx| Poll::Ready(producer.poll_push(cx, piece))).await;
        assert!(pushed.is_ready());
    }
    assert!(guard.feed.lock().window.is_full());
}

#[tokio::test(start_paused = true)]
async fn a_feed_is_only_its_owners_and_ends_with_its_call() {
    let feeds = Feeds::default();
    let (ada, mut eve) = (owner(), owner());
    let guard = feeds.open(ada.clone(), 1).unwrap();
    let id = guard.feed.id().to_string();
    feeds.find(&id, &ada).unwrap();
    eve.workspace = ada.workspace;
    eve.account = "eve".into();
    assert_eq!(feeds.find(&id, &eve).unwrap_err().reason, "feed-unknown");
    assert_eq!(feeds.open(eve, 1).unwrap_err().reason, "too-many-feeds");
    let reader = guard.feed.join(CancellationToken::new()).unwrap();
    let (taken, ()) = tokio::join!(take(&reader, 0), async { drop(guard) });
    assert_eq!(taken.unwrap_err().reason, "feed-over");
    assert_eq!(feeds.find(&id, &ada).unwrap_err().reason, "feed-unknown");
}
