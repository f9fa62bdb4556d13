//! Requests and answers of one stream, and what is told of them.

use std::collections::HashMap;

use cmdop_proto::file_change::Trail;
use tokio::sync::mpsc;
use v1::report::What;

use super::*;
use crate::report;

struct Stream {
    moved: Moved,
    trail: Trail,
    transfers: Transfers,
    reports: mpsc::Receiver<v1::Report>,
    count: u64,
}

fn stream(named: Option<Direction>) -> Stream {
    let (reporter, reports) = report::heard_by_a_test();
    let transfers = Transfers::new(reporter);
    let whose = Whose {
        transfers: transfers.clone(),
        account: Account::of_a_test(),
        machine: MachineId::new(),
        machine_name: "web-1".into(),
        stream: TransferId::new(),
        named: named.map(|direction| (TransferId::new(), direction)),
    };
    Stream {
        moved: Moved::new(whose),
        trail: Trail::default(),
        transfers,
        reports,
        count: 0,
    }
}

impl Stream {
    fn ask(&mut self, ask: Ask) {
        self.count += 1;
        let request = v1::FileRequest {
            id: self.count,
            request: Some(ask),
        };
        self.trail.asked(&request).unwrap();
        self.moved.asked(&request);
    }

    /// The last answer to the newest request.
    fn answer(&mut self, response: Response) {
        self.part(response, true);
    }

    fn part(&mut self, response: Response, last: bool) {
        let response = v1::FileResponse {
            id: self.count,
            last,
            response: Some(response),
        };
        let known = self.trail.answered(&response);
        self.moved.answered(&response, &known);
    }

    /// The stream ends: what is told of it, by direction. The rest is told when the relay leaves.
    fn ends(mut self) -> HashMap<String, (String, HashMap<String, String>)> {
        let left = self.trail.ended();
        self.moved.ended(&left, None);
        self.transfers.end_all();
        let mut ended = HashMap::new();
        while let Ok(report) = self.reports.try_recv() {
            let Some(What::Event(event)) = report.what else {
                panic!("an event");
            };
            if event.action == "transfer-ended" {
                let direction = event.detail["direction"].clone();
                ended.insert(direction, (event.outcome, event.detail));
            }
        }
        ended
    }

    fn began(&mut self) -> Option<String> {
        let report = self.reports.try_recv().ok()?;
        let Some(What::Event(event)) = report.what else {
            return None;
        };
        assert_eq!(event.action, "transfer-began");
        Some(event.detail["path"].clone())
    }

    fn create(&mut self) {
        self.ask(Ask::Create(v1::FileCreate {
            handle: 1,
            path: Bytes::from_static(b"/srv/a"),
            ..v1::FileCreate::default()
        }));
    }

    fn write(&mut self, bytes: usize) {
        self.ask(Ask::Write(v1::FileWrite {
            handle: 1,
            data: vec![0; bytes].into(),
            ..v1::FileWrite::default()
        }));
        self.answer(done());
    }

    fn commit(&mut self) {
        self.ask(Ask::Commit(v1::FileCommit {
            handle: 1,
            ..v1::FileCommit::default()
        }));
        self.answer(Response::Entry(v1::FileEntry::default()));
    }

    fn reader(&mut self) {
        self.ask(Ask::Reader(v1::FileReader {
            handle: 1,
            path: Bytes::from_static(b"/srv/a"),
            ..v1::FileReader::default()
        }));
    }

    fn read(&mut self, bytes: usize) {
        self.ask(Ask::Read(v1::FileRead {
            handle: 1,
            ..v1::FileRead::default()
        }));
        for last in [false, true] {
            let data = v1::FileData {
                data: vec![0; bytes / 2].into(),
                ..v1::FileData::default()
            };
            self.part(Response::Data(data), last);
        }
    }

    fn close(&mut self) {
        self.ask(Ask::Close(v1::FileClose {
            handle: 1,
            md5: false,
        }));
        self.answer(Response::Closed(v1::FileClosed::default()));
    }
}

fn done() -> Response {
    Response::Done(v1::FileDone::default())
}

fn entry() -> Response {
    Response::Entry(v1::FileEntry::default())
}

fn small(bytes: usize) -> v1::SmallFile {
    v1::SmallFile {
        path: Bytes::from_static(b"/srv/small"),
        data: vec![0; bytes].into(),
        ..v1::SmallFile::default()
    }
}

fn refused(reason: &str) -> v1::FileRefused {
    v1::FileRefused {
        detail: Some(v1::ErrorDetail {
            reason: reason.into(),
            ..v1::ErrorDetail::default()
        }),
        path: Bytes::from_static(b"/srv/small"),
        ..v1::FileRefused::default()
    }
}

/// Bytes, files and outcome, as they are told.
fn says(told: &(String, HashMap<String, String>)) -> (&str, &str, &str) {
    let (outcome, detail) = told;
    (&detail["bytes"], &detail["files"], outcome)
}

#[test]
fn large_and_small_files_that_are_written_are_counted_when_they_have_their_names() {
    let mut stream = stream(Some(Direction::To));
    stream.create();
    assert_eq!(stream.began().as_deref(), Some("/srv/a"));
    stream.answer(Response::Created(v1::FileCreated::default()));
    stream.write(1000);
    stream.write(24);
    stream.commit();
    let files = vec![small(5), small(6)];
    stream.ask(Ask::Put(v1::FilePut { files }));
    stream.answer(Response::Outcomes(v1::FileOutcomes::default()));
    stream.ask(Ask::Settle(v1::FileSettle {}));
    let outcomes = v1::FileOutcomes {
        done: 2,
        ..v1::FileOutcomes::default()
    };
    stream.answer(Response::Outcomes(outcomes));
    let told = stream.ends();
    assert_eq!(says(&told["to"]), ("1035", "3", "allowed"));
    assert_eq!(told.len(), 1);
}

#[test]
fn files_that_are_read_are_counted_when_all_of_them_was() {
    let mut stream = stream(Some(Direction::From));
    stream.reader();
    stream.answer(entry());
    assert_eq!(stream.began(), None, "nothing of it is read");
    stream.read(2000);
    assert_eq!(stream.began().as_deref(), Some("/srv/a"));
    stream.read(200);
    stream.close();
    let paths = vec![Bytes::from_static(b"/srv/small"); 2];
    stream.ask(Ask::Fetch(v1::FileFetch { paths, carry: None }));
    let batch = v1::FileBatch {
        files: vec![small(50)],
        carried: None,
    };
    stream.part(Response::Batch(batch), false);
    let outcomes = v1::FileOutcomes {
        refused: vec![refused("file-denied")],
        done: 1,
    };
    stream.answer(Response::Outcomes(outcomes));
    let told = stream.ends();
    assert_eq!(says(&told["from"]), ("2250", "2", "failed"));
    assert_eq!(told["from"].1["reason"], "file-denied");
}

#[test]
fn a_file_that_cannot_be_opened_is_a_transfer_that_failed() {
    let mut to = stream(Some(Direction::To));
    to.create();
    to.answer(Response::Refused(refused("file-denied")));
    let told = to.ends();
    assert_eq!(says(&told["to"]), ("0", "0", "failed"));
    let mut from = stream(Some(Direction::From));
    from.reader();
    from.answer(Response::Refused(refused("file-denied")));
    let told = from.ends();
    assert_eq!(says(&told["from"]), ("0", "0", "failed"));
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_room_is_told_with_all_that_it_did_and_that_failed_meanwhile() {
    const MINUTE: Duration = Duration::from_secs(60);
    let mut stream = stream(Some(Direction::To));
    let account = stream.moved.whose.account.clone();
    let key = || Key {
        account: account.claims.sub.clone(),
        transfer: TransferId::new(),
        machine: MachineId::new(),
        direction: Direction::From,
    };
    let join = |transfers: &Transfers| transfers.join(key(), (&account, "web-1"), b"/srv/a");
    while matches!(join(&stream.transfers), Joined::Leg(_)) {}
    stream.create();
    stream.answer(Response::Created(v1::FileCreated::default()));
    stream.write(1000);
    stream.commit();
    stream.create();
    stream.answer(Response::Refused(refused("disk-full")));
    assert!(matches!(stream.moved.to.leg, Told::Waits(_)));
    stream.transfers.end_all();
    // There is room, but it is looked for once a second, whatever is asked.
    stream.create();
    stream.answer(Response::Refused(refused("file-denied")));
    assert!(matches!(stream.moved.to.leg, Told::Waits(_)));
    tokio::time::advance(MINUTE).await;
    while stream.reports.try_recv().is_ok() {}
    stream.create();
    assert_eq!(stream.began().as_deref(), Some("/srv/a"));
    stream.answer(Response::Created(v1::FileCreated::default()));
    stream.write(24);
    stream.commit();
    let told = stream.ends();
    assert_eq!(says(&told["to"]), ("1024", "2", "failed"));
    let (_, detail) = &told["to"];
    assert_eq!(
        (&*detail["failures"], &*detail["reason"]),
        ("2", "disk-full")
    );
}

#[test]
fn what_is_asked_when_the_stream_has_ended_begins_nothing() {
    let mut stream = stream(Some(Direction::To));
    let left = stream.trail.ended();
    stream.moved.ended(&left, None);
    // Its client's side had read this before it knew.
    stream.moved.asked(&v1::FileRequest {
        id: 1,
        request: Some(Ask::Create(v1::FileCreate {
            handle: 1,
            path: Bytes::from_static(b"/srv/a"),
            ..v1::FileCreate::default()
        })),
    });
    assert_eq!(stream.began(), None);
    stream.transfers.end_all();
    assert!(stream.reports.try_recv().is_err(), "and no leg stays");
}

#[test]
fn what_is_half_done_when_the_stream_ends_was_broken_off() {
    let mut to = stream(Some(Direction::To));
    to.create();
    to.answer(Response::Created(v1::FileCreated::default()));
    to.write(1000);
    let mut put = stream(Some(Direction::To));
    let files = vec![small(5)];
    put.ask(Ask::Put(v1::FilePut { files }));
    put.answer(Response::Outcomes(v1::FileOutcomes::default()));
    let mut from = stream(Some(Direction::From));
    from.reader();
    from.answer(entry());
    from.read(10);
    for (stream, direction) in [(to, "to"), (put, "to"), (from, "from")] {
        let told = stream.ends();
        assert_eq!(told[direction].0, "failed");
        assert_eq!(told[direction].1["reason"], "broken-off");
    }
}

#[test]
fn looking_into_files_is_no_transfer_until_it_is_much() {
    let mut stream = stream(None);
    stream.reader();
    stream.answer(entry());
    let piece = 256 << 10;
    for _ in 0..MUCH / piece as u64 - 1 {
        stream.read(piece);
    }
    assert_eq!(stream.began(), None);
    stream.read(piece);
    assert_eq!(stream.began().as_deref(), Some("/srv/a"));
    stream.read(2);
    stream.close();
    let told = stream.ends();
    let bytes = (MUCH + 2).to_string();
    assert_eq!(says(&told["from"]), (bytes.as_str(), "1", "allowed"));
}

#[test]
fn what_goes_the_other_way_than_the_client_says_is_not_part_of_its_transfer() {
    let mut stream = stream(Some(Direction::To));
    stream.reader();
    stream.answer(entry());
    stream.read(1 << 20);
    stream.close();
    assert_eq!(stream.began(), None);
    let ours = stream.moved.whose.stream;
    stream.reader();
    stream.answer(entry());
    stream.read(MUCH as usize);
    stream.close();
    let told = stream.ends();
    assert_eq!(told["from"].1["transfer"], ours.to_string());
}

#[test]
fn a_name_that_is_none_is_refused() {
    let open = |transfer: &str, direction: v1::FileDirection| {
        named(&v1::FilesOpen {
            transfer: transfer.into(),
            direction: direction.into(),
            ..v1::FilesOpen::default()
        })
    };
    let id = TransferId::new();
    let none = v1::FileDirection::Unspecified;
    assert_eq!(open("", none), Ok(None));
    assert_eq!(
        open(&id.to_string(), v1::FileDirection::To),
        Ok(Some((id, Direction::To)))
    );
    assert!(open(&id.to_string(), none).is_err());
    assert!(open("\x1b[2J", v1::FileDirection::To).is_err());
    assert!(open(&"x".repeat(1 << 20), v1::FileDirection::To).is_err());
}
