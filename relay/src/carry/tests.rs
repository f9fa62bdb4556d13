//! What a machine answers, honest or not, on its way into a feed.

use super::*;

fn paths_of(all: &[&'static str]) -> Vec<Bytes> {
    let bytes = |path: &&'static str| Bytes::from_static(path.as_bytes());
    all.iter().map(bytes).collect()
}

fn fetch(id: u64, paths: &[&'static str], to: &[&'static str]) -> v1::FileRequest {
    v1::FileRequest {
        id,
        request: Some(Ask::Fetch(v1::FileFetch {
            paths: paths_of(paths),
            carry: Some(v1::FileCarry {
                feed: "feed".into(),
                to: paths_of(to),
                modes: 0o777,
                ..v1::FileCarry::default()
            }),
        })),
    }
}

fn batch(id: u64, paths: &[&'static str]) -> v1::FileResponse {
    let file = |path: &&'static str| v1::SmallFile {
        path: Bytes::from_static(path.as_bytes()),
        mode: 0o4755,
        data: Bytes::from_static(b"content"),
        ..v1::SmallFile::default()
    };
    v1::FileResponse {
        id,
        last: false,
        response: Some(Response::Batch(v1::FileBatch {
            files: paths.iter().map(file).collect(),
            carried: None,
        })),
    }
}

#[test]
fn files_get_the_paths_that_their_caller_chose_and_no_set_id_bits() {
    let carried = Carried::default();
    let mut request = fetch(1, &["a", "b"], &["/to/a", "/to/b"]);
    carried.asked(&mut request).unwrap();
    let Some(Ask::Fetch(passed)) = &request.request else {
        panic!("{request:?}")
    };
    assert_eq!(
        passed.carry, None,
        "the machine does not learn where it goes"
    );
    let mut answer = batch(1, &["b"]);
    let load = carried.order(&mut answer).unwrap().unwrap();
    let Ask::Put(put) = load.ask else { panic!() };
    assert_eq!(
        (
            &put.files[0].path[..],
            put.files[0].mode,
            &put.files[0].data[..]
        ),
        (&b"/to/b"[..], 0o755, &b"content"[..])
    );
    let Some(Response::Batch(told)) = answer.response else {
        panic!()
    };
    assert!(told.files[0].data.is_empty() && told.files[0].path == "b");
}

#[test]
fn a_file_that_nobody_asked_for_gets_no_path() {
    let carried = Carried::default();
    carried.asked(&mut fetch(1, &["a"], &["/to/a"])).unwrap();
    for bad in ["../../etc/passwd", "/to/a", "b"] {
        let refused = carried.order(&mut batch(1, &[bad])).unwrap_err();
        assert_eq!(refused.reason, "bad-answer", "{bad}");
    }
    carried.order(&mut batch(1, &["a"])).unwrap().unwrap();
    // Once is all that was asked for.
    carried.order(&mut batch(1, &["a"])).unwrap_err();
}

#[test]
fn answers_to_other_requests_are_the_callers() {
    let carried = Carried::default();
    carried.asked(&mut fetch(5, &["a"], &["b"])).unwrap();
    assert!(carried.order(&mut batch(4, &["a"])).unwrap().is_none());
    assert!(carried.order(&mut batch(6, &["a"])).unwrap().is_none());
    let uneven = carried.asked(&mut fetch(7, &["a"], &[])).unwrap_err();
    assert_eq!(uneven.reason, "bad-request");
}

#[test]
fn no_more_paths_wait_than_a_machine_takes_at_once() {
    let many = vec!["a"; limits::MAX_STAGED + 1];
    let carried = Carried::default();
    let refused = carried.asked(&mut fetch(1, &many, &many)).unwrap_err();
    assert_eq!(refused.reason, "bad-request");
    let most = &many[1..];
    carried.asked(&mut fetch(1, most, most)).unwrap();
}

#[test]
fn paths_without_names_take_room_too() {
    let empty = vec![""; limits::MAX_STAGED];
    let carried = Carried::default();
    let asked = (1..100).take_while(|id| {
        let mut request = fetch(*id, &empty, &empty);
        carried.asked(&mut request).is_ok()
    });
    assert_eq!(
        asked.count(),
        MAX_PATHS / (ENTRY * (limits::MAX_STAGED + 2))
    );
}

#[test]
fn a_piece_that_is_too_long_is_the_machines_fault() {
    let carried = Carried::default();
    let read = v1::FileRead {
        carry: Some(v1::FileCarry::default()),
        ..v1::FileRead::default()
    };
    let mut request = v1::FileRequest {
        id: 1,
        request: Some(Ask::Read(read)),
    };
    carried.asked(&mut request).unwrap();
    let data = v1::FileData {
        data: vec![0; limits::FILE_PIECE + 1].into(),
        ..v1::FileData::default()
    };
    let mut answer = v1::FileResponse {
        id: 1,
        last: true,
        response: Some(Response::Data(data)),
    };
    let refused = carried.order(&mut answer).unwrap_err();
    assert_eq!(refused.reason, "bad-answer");
}
