//! The service as a stream meets it: requests in, answers out, and what is on the disk afterwards.

use std::path::Path;

use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::*;
use crate::confine::Scope;

mod hostile;
mod leaving;

struct Ground {
    directory: tempfile::TempDir,
    service: Service,
}

fn ground_for(access: v1::FileAccess) -> Ground {
    let directory = tempfile::tempdir().unwrap();
    let scope = Scope::Beneath(vec![directory.path().to_owned()]);
    let service = Service::new(Roots::open(directory.path(), &scope), access);
    Ground { directory, service }
}

fn ground() -> Ground {
    ground_for(v1::FileAccess::Write)
}

impl Ground {
    fn ask(&mut self, ask: Ask) -> Vec<Response> {
        let mut answers = Vec::new();
        let mut lasts = 0;
        let request = v1::FileRequest {
            id: 7,
            request: Some(ask),
        };
        let listens = self
            .service
            .handle(request, &mut |answer: v1::FileResponse| {
                assert_eq!((answer.id, lasts), (7, 0), "an answer after the last one");
                lasts += u32::from(answer.last);
                answers.extend(answer.response);
                true
            });
        assert!(listens);
        answers
    }

    /// The reason of the refusal that is the only answer.
    fn refused(&mut self, ask: Ask) -> String {
        match &self.ask(ask)[..] {
            [Response::Refused(refused)] => refused.detail.clone().unwrap().reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn names(&self) -> Vec<String> {
        names(self.directory.path())
    }

    fn create(&mut self, resume: bool) -> u64 {
        let create = v1::FileCreate {
            handle: 1,
            path: "file".into(),
            size: 10,
            key: "abc".into(),
            resume,
            ..v1::FileCreate::default()
        };
        match &self.ask(Ask::Create(create))[..] {
            [Response::Created(created)] => created.have,
            other => panic!("not created: {other:?}"),
        }
    }

    fn write(&mut self, offset: u64, data: &'static [u8]) -> Vec<Response> {
        let write = v1::FileWrite {
            handle: 1,
            offset,
            data: data.into(),
            blake3: hash(data),
        };
        self.ask(Ask::Write(write))
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn hash(data: &[u8]) -> Bytes {
    Bytes::copy_from_slice(blake3::hash(data).as_bytes())
}

fn commit(size: u64, whole: &[u8]) -> Ask {
    Ask::Commit(v1::FileCommit {
        handle: 1,
        size,
        md5: Bytes::copy_from_slice(&Md5::digest(whole)),
        mode: 0o640,
        mtime_ns: 1_000_000_007,
    })
}

fn small(path: &str, data: &'static [u8]) -> v1::SmallFile {
    v1::SmallFile {
        path: Bytes::copy_from_slice(path.as_bytes()),
        kind: v1::FileKind::File.into(),
        mode: 0o600,
        mtime_ns: 5,
        data: data.into(),
        blake3: hash(data),
        ..v1::SmallFile::default()
    }
}

#[test]
fn a_file_appears_whole_with_its_attributes() {
    let mut ground = ground();
    assert_eq!(ground.create(false), 0);
    ground.write(0, b"hello ");
    assert_eq!(ground.names(), [".file.abc.cmdop-part"]);
    ground.write(6, b"world");
    let committed = ground.ask(commit(11, b"hello world"));
    let [Response::Entry(entry)] = &committed[..] else {
        panic!("{committed:?}");
    };
    assert_eq!(
        (entry.size, entry.mode, entry.mtime_ns),
        (11, 0o640, 1_000_000_007)
    );
    assert_eq!(ground.names(), ["file"]);
    assert_eq!(
        std::fs::read(ground.directory.path().join("file")).unwrap(),
        b"hello world"
    );
}

#[test]
fn what_differs_from_its_hash_never_gets_the_name() {
    let mut ground = ground();
    ground.create(false);
    let write = v1::FileWrite {
        handle: 1,
        offset: 0,
        data: "damaged".into(),
        blake3: hash(b"as sent"),
    };
    assert_eq!(ground.refused(Ask::Write(write)), "chunk-differs");
    assert_eq!(ground.refused(commit(7, b"as sent")), "file-differs");
    assert_eq!(ground.names(), [".file.abc.cmdop-part"]);
    // Another try goes on with it, and what is right stays.
    assert_eq!(ground.create(true), 7);
    ground.write(0, b"as sent");
    ground.ask(commit(7, b"as sent"));
    assert_eq!(ground.names(), ["file"]);
}

#[test]
fn holes_are_proved_too() {
    let mut ground = ground();
    ground.create(false);
    ground.write(1 << 20, b"end");
    let mut whole = vec![0; 1 << 20];
    whole.extend_from_slice(b"end");
    whole.resize(3 << 20, 0);
    ground.ask(commit(3 << 20, &whole));
    assert_eq!(ground.names(), ["file"]);
    let reader = v1::FileReader {
        handle: 2,
        path: "file".into(),
        without_md5: false,
    };
    ground.ask(Ask::Reader(reader));
    let answers = ground.ask(Ask::Map(v1::FileMap { handle: 2 }));
    let [Response::Extents(extents)] = &answers[..] else {
        panic!("{answers:?}");
    };
    let data: u64 = extents.extents.iter().map(|extent| extent.length).sum();
    assert!(data < 1 << 20, "{extents:?}");
    let answers = ground.ask(Ask::Close(v1::FileClose {
        handle: 2,
        md5: true,
    }));
    let [Response::Closed(closed)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(closed.md5[..], Md5::digest(&whole)[..]);
}

#[test]
fn a_destination_that_changed_or_came_meanwhile_is_left_as_it_is() {
    for before in [None, Some("before")] {
        let mut ground = ground();
        let file = ground.directory.path().join("file");
        if let Some(before) = before {
            std::fs::write(&file, before).unwrap();
        }
        ground.create(false);
        ground.write(0, b"new");
        let other = ground.directory.path().join("other");
        std::fs::write(&other, "by somebody else").unwrap();
        std::fs::rename(&other, &file).unwrap();
        assert_eq!(ground.refused(commit(3, b"new")), "destination-changed");
        assert_eq!(std::fs::read(&file).unwrap(), b"by somebody else");
    }
}

#[test]
fn small_files_get_their_names_together_or_not_at_all() {
    let mut ground = ground();
    let put = |files: Vec<_>| Ask::Put(v1::FilePut { files });
    ground.ask(put(vec![small("a", b"1"), small("b", b"2")]));
    assert!(
        ground
            .names()
            .iter()
            .all(|name| name.ends_with(".cmdop-part"))
    );
    let mut damaged = small("c", b"3");
    damaged.data = "4".into();
    let answers = ground.ask(put(vec![damaged, small("d", b"5")]));
    let [Response::Outcomes(outcomes)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(
        (outcomes.done, &outcomes.refused[0].path[..]),
        (1, &b"c"[..])
    );
    ground.ask(Ask::Settle(v1::FileSettle {}));
    assert_eq!(ground.names(), ["a", "b", "d"]);
    ground.ask(put(vec![small("e", b"6")]));
    let Ground { directory, service } = ground;
    drop(service);
    assert_eq!(names(directory.path()), ["a", "b", "d"]);
}

#[test]
fn who_may_only_read_changes_nothing() {
    let mut ground = ground_for(v1::FileAccess::Read);
    std::fs::write(ground.directory.path().join("file"), "x").unwrap();
    for ask in [
        Ask::Create(v1::FileCreate::default()),
        Ask::Write(v1::FileWrite::default()),
        Ask::Commit(v1::FileCommit::default()),
        Ask::Put(v1::FilePut::default()),
        Ask::Settle(v1::FileSettle::default()),
        Ask::Mkdir(v1::FileMkdir::default()),
        Ask::Remove(v1::FileRemove {
            path: "file".into(),
            recursive: true,
        }),
        Ask::Rename(v1::FileRename::default()),
        Ask::Copy(v1::FileCopy::default()),
        Ask::Attributes(v1::FileAttributes::default()),
        Ask::Symlink(v1::FileSymlink::default()),
    ] {
        assert_eq!(ground.refused(ask), "read-only");
    }
    assert_eq!(ground.names(), ["file"]);
}

#[test]
fn a_temporary_file_that_somebody_planted_is_not_written_through() {
    let mut ground = ground();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "untouched").unwrap();
    let planted = ground.directory.path().join(".file.abc.cmdop-part");
    std::os::unix::fs::symlink(&victim, &planted).unwrap();
    let create = v1::FileCreate {
        handle: 1,
        path: "file".into(),
        key: "abc".into(),
        ..v1::FileCreate::default()
    };
    ground.refused(Ask::Create(create.clone()));
    std::fs::remove_file(&planted).unwrap();
    std::fs::hard_link(&victim, &planted).unwrap();
    assert_eq!(ground.refused(Ask::Create(create)), "file-denied");
    assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
}

#[test]
fn two_do_not_write_the_same_temporary_file() {
    let mut one = ground();
    one.create(false);
    let scope = Scope::Beneath(vec![one.directory.path().to_owned()]);
    let service = Service::new(
        Roots::open(one.directory.path(), &scope),
        v1::FileAccess::Write,
    );
    let mut other = Ground {
        directory: tempfile::tempdir().unwrap(),
        service,
    };
    let create = v1::FileCreate {
        handle: 1,
        path: "file".into(),
        key: "abc".into(),
        resume: true,
        ..v1::FileCreate::default()
    };
    assert_eq!(other.refused(Ask::Create(create)), "file-busy");
}

#[test]
fn a_file_for_which_there_is_no_room_leaves_no_name_behind() {
    let mut ground = ground();
    for n in 0..3 {
        let create = v1::FileCreate {
            handle: 1,
            path: "file".into(),
            size: 1 << 60,
            key: format!("abc{n}"),
            ..v1::FileCreate::default()
        };
        assert_eq!(ground.refused(Ask::Create(create)), "disk-full");
    }
    assert!(ground.names().is_empty(), "{:?}", ground.names());
}
