//! The record of changes, as a relay and an agent keep it.

use super::*;
use crate::error::Refusal;
use crate::v1;

fn request(id: u64, ask: Ask) -> FileRequest {
    FileRequest {
        id,
        request: Some(ask),
    }
}

fn answer(id: u64, response: Response) -> FileResponse {
    FileResponse {
        id,
        last: true,
        response: Some(response),
    }
}

fn refused(path: &'static [u8]) -> FileRefused {
    let refusal = Refusal::denied("file-denied", "no");
    FileRefused {
        detail: Some(refusal.detail()),
        path: Bytes::from_static(path),
        ..FileRefused::default()
    }
}

fn create(handle: u32) -> Ask {
    Ask::Create(v1::FileCreate {
        handle,
        path: Bytes::from_static(b"/large"),
        ..v1::FileCreate::default()
    })
}

fn write(handle: u32, length: usize) -> Ask {
    Ask::Write(v1::FileWrite {
        handle,
        data: vec![0; length].into(),
        ..v1::FileWrite::default()
    })
}

fn commit(handle: u32) -> Ask {
    Ask::Commit(v1::FileCommit {
        handle,
        ..v1::FileCommit::default()
    })
}

fn written(trail: &mut Trail) {
    trail.asked(&request(1, create(7))).unwrap();
    let created = Response::Created(v1::FileCreated::default());
    assert_eq!(trail.answered(&answer(1, created)), []);
    trail.asked(&request(2, write(7, 10))).unwrap();
    trail.asked(&request(3, write(7, 20))).unwrap();
}

#[test]
fn a_large_file_is_told_of_once_with_all_its_bytes() {
    let mut trail = Trail::default();
    written(&mut trail);
    trail.asked(&request(4, commit(7))).unwrap();
    let known = trail.answered(&answer(4, Response::Entry(v1::FileEntry::default())));
    let [record] = &known[..] else {
        panic!("{known:?}")
    };
    assert_eq!(
        (record.verb, &record.path[..], record.bytes, &record.outcome),
        ("write", &b"/large"[..], 30, &Outcome::Done)
    );
    assert_eq!(trail.ended(), []);
}

#[test]
fn what_was_given_up_or_cut_off_is_told_too() {
    let mut trail = Trail::default();
    written(&mut trail);
    let close = v1::FileClose {
        handle: 7,
        md5: false,
    };
    trail.asked(&request(4, Ask::Close(close))).unwrap();
    let known = trail.answered(&answer(4, Response::Closed(v1::FileClosed::default())));
    assert_eq!(known[0].outcome, Outcome::GivenUp);
    trail.asked(&request(5, create(7))).unwrap();
    let left = trail.ended();
    assert_eq!((left.len(), left[0].outcome.as_str()), (1, "unknown"));
}

#[test]
fn each_small_file_has_its_own_outcome() {
    let mut trail = Trail::default();
    let files = [&b"/a"[..], b"/b"].map(|path| v1::SmallFile {
        path: Bytes::from_static(path),
        data: Bytes::from_static(b"four"),
        ..v1::SmallFile::default()
    });
    let put = v1::FilePut {
        files: files.into(),
    };
    trail.asked(&request(1, Ask::Put(put))).unwrap();
    let outcomes = FileOutcomes {
        refused: vec![refused(b"/b")],
        done: 1,
    };
    let known = trail.answered(&answer(1, Response::Outcomes(outcomes)));
    let told: Vec<_> = known
        .iter()
        .map(|record| (&record.path[..], record.bytes, record.outcome.as_str()))
        .collect();
    assert_eq!(told, [(&b"/a"[..], 4, "done"), (b"/b", 4, "file-denied")]);
    let settle = Ask::Settle(v1::FileSettle {});
    trail.asked(&request(2, settle)).unwrap();
    let outcomes = FileOutcomes {
        refused: Vec::new(),
        done: 1,
    };
    let known = trail.answered(&answer(2, Response::Outcomes(outcomes)));
    assert_eq!((known[0].verb, known[0].count), ("settle", 1));
}

#[test]
fn the_answer_to_a_question_is_not_taken_for_that_of_a_change() {
    let mut trail = Trail::default();
    let stat = Ask::Stat(v1::FileStat::default());
    trail.asked(&request(1, stat.clone())).unwrap();
    let remove = Ask::Remove(v1::FileRemove {
        path: Bytes::from_static(b"/x"),
        recursive: true,
    });
    trail.asked(&request(1, remove.clone())).unwrap_err();
    trail.asked(&request(2, remove)).unwrap();
    let no = Response::Refused(refused(b""));
    assert_eq!(trail.answered(&answer(1, no)), []);
    let done = Response::Done(v1::FileDone { count: 3 });
    let known = trail.answered(&answer(2, done));
    assert_eq!((known[0].outcome.as_str(), known[0].count), ("done", 3));
}

#[test]
fn what_waits_is_bounded() {
    let mut trail = Trail::default();
    let path = Bytes::from(vec![b'x'; limits::MAX_PATH]);
    let remove = |id| {
        let path = path.clone();
        let recursive = false;
        request(id, Ask::Remove(v1::FileRemove { path, recursive }))
    };
    let refused = (1..).find_map(|id| trail.asked(&remove(id)).err()).unwrap();
    assert_eq!(refused.reason, "too-many-requests");
}
