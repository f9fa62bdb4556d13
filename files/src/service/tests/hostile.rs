//! Whatever a client asks for, nothing outside of the root is read or changed, and the service goes on.

use proptest::prelude::*;

use super::*;

/// A path as a hostile client would write it.
fn hostile_path() -> impl Strategy<Value = Bytes> {
    let part = prop_oneof![
        Just(b"..".to_vec()),
        Just(b".".to_vec()),
        Just(b"in".to_vec()),
        Just(b"link".to_vec()),
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    (any::<bool>(), proptest::collection::vec(part, 0..6)).prop_map(|(absolute, parts)| {
        let path = parts.join(&b'/');
        Bytes::from(if absolute {
            [&b"/"[..], &path].concat()
        } else {
            path
        })
    })
}

fn hostile_request() -> impl Strategy<Value = Ask> {
    (
        0u8..18,
        hostile_path(),
        hostile_path(),
        0u32..3,
        any::<u64>(),
        any::<u32>(),
        any::<bool>(),
    )
        .prop_map(
            |(which, path, other, handle, offset, length, flag)| match which {
                0 => Ask::Stat(v1::FileStat { path, follow: flag }),
                1 => Ask::List(v1::FileList {
                    path,
                    recursive: flag,
                    exclude: Vec::new(),
                }),
                2 => Ask::Reader(v1::FileReader {
                    handle,
                    path,
                    without_md5: flag,
                }),
                3 => Ask::Read(v1::FileRead {
                    handle,
                    offset,
                    length,
                    carry: None,
                }),
                4 => Ask::Create(v1::FileCreate {
                    handle,
                    path,
                    size: u64::from(length),
                    key: "ab".into(),
                    resume: flag,
                    ..v1::FileCreate::default()
                }),
                5 => Ask::Write(v1::FileWrite {
                    handle,
                    offset,
                    data: other,
                    blake3: path,
                }),
                6 => Ask::Commit(v1::FileCommit {
                    handle,
                    size: offset,
                    mode: length,
                    mtime_ns: offset as i64,
                    md5: Bytes::new(),
                }),
                7 => Ask::Put(v1::FilePut {
                    files: vec![v1::SmallFile {
                        path,
                        kind: 1 + i32::from(flag) * 2,
                        blake3: hash(&other),
                        data: other.clone(),
                        target: other,
                        ..v1::SmallFile::default()
                    }],
                }),
                8 => Ask::Settle(v1::FileSettle {}),
                9 => Ask::Mkdir(v1::FileMkdir {
                    paths: vec![path],
                    parents: flag,
                    mode: 0,
                    real: !flag,
                }),
                10 => Ask::Remove(v1::FileRemove {
                    path,
                    recursive: flag,
                }),
                11 => Ask::Rename(v1::FileRename {
                    from: path,
                    to: other,
                    replace: 0,
                }),
                12 => Ask::Copy(v1::FileCopy {
                    from: path,
                    to: other,
                    recursive: flag,
                    replace: 0,
                }),
                13 => Ask::Symlink(v1::FileSymlink {
                    path,
                    target: other,
                }),
                14 => Ask::Fetch(v1::FileFetch {
                    paths: vec![path, other],
                    carry: None,
                }),
                15 => Ask::Close(v1::FileClose { handle, md5: flag }),
                16 => Ask::Digest(v1::FileDigest {
                    handle,
                    chunk: length,
                }),
                _ => Ask::Usage(v1::FileUsage {
                    path,
                    room_only: false,
                }),
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_request_leads_out_of_the_root_or_stops_the_service(
        requests in proptest::collection::vec(hostile_request(), 1..30)
    ) {
        let outer = tempfile::tempdir().unwrap();
        let (root, victim) = (outer.path().join("root"), outer.path().join("victim"));
        std::fs::create_dir_all(root.join("in")).unwrap();
        std::fs::create_dir(&victim).unwrap();
        std::fs::write(victim.join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink("../victim", root.join("link")).unwrap();
        let roots = Roots::open(&root, &Scope::Beneath(vec![root.clone()]));
        let service = Service::new(roots, v1::FileAccess::Write);
        let mut ground = Ground { directory: outer, service };
        for ask in requests {
            for answer in ground.ask(ask) {
                if let Response::Data(data) = answer {
                    prop_assert!(!data.data.windows(6).any(|window| window == b"secret"));
                }
            }
        }
        prop_assert_eq!(ground.names(), ["root", "victim"]);
        prop_assert_eq!(names(&victim), ["secret"]);
        prop_assert_eq!(std::fs::read(victim.join("secret")).unwrap(), b"secret");
    }
}
