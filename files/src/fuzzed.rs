//! What the fuzz target `files` of `tests/fuzz` does with bytes: a stream of somebody who is confined to a
//! directory asks for whatever they say.
//!
//! A bug must not cost the machine that looks for it: absolute paths are led into the ground, and no path climbs
//! further than to its top.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cmdop_proto::v1;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_proto::v1::file_response::Response;

use crate::confine::{Roots, Scope};
use crate::service::Service;

/// What lies outside, and must stay as it is.
const SECRET: &[u8] = b"secret";

/// What a link may lead to. Relative climbing is bounded so that links cannot add it up.
const TARGETS: [&[u8]; 6] = [b"../out", b"../out/secret", b".", b"loop", b"file", b"/out"];

/// Steps of at least eleven bytes: what, under which number, three numbers, and two paths with their lengths.
pub fn requests(bytes: &[u8]) {
    let ground = Ground::new();
    let scope = Scope::Beneath(vec![ground.top.join("in")]);
    let roots = Roots::open(&ground.top.join("in"), &scope);
    let mut service = Service::new(roots, v1::FileAccess::Write);
    let mut input = Input(bytes);
    let mut id = 0;
    while let Some(ask) = input.ask(&ground.top) {
        id += 1;
        let request = v1::FileRequest {
            id,
            request: Some(ask),
        };
        let mut lasts = 0;
        let listens = service.handle(request, &mut |answer: v1::FileResponse| {
            assert!(
                lasts == 0 && answer.id == id,
                "an answer after the last one"
            );
            lasts += u32::from(answer.last);
            assert!(
                !carries(answer.response.as_ref(), SECRET),
                "what lies outside was read"
            );
            true
        });
        assert!(listens);
    }
    drop(service);
    ground.check();
}

fn carries(response: Option<&Response>, secret: &[u8]) -> bool {
    match response {
        Some(Response::Data(data)) => data.data == secret,
        Some(Response::Batch(batch)) => batch.files.iter().any(|file| file.data == secret),
        Some(Response::Matches(matches)) => matches.matches.iter().any(|one| one.text == secret),
        _ => false,
    }
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn path(&mut self, top: &Path) -> Option<Bytes> {
        let [length] = self.take()?;
        let (path, rest) = self.0.split_at(usize::from(length).min(self.0.len()));
        self.0 = rest;
        Some(harmless(path, top))
    }

    /// A number that is small, or at the edge of what fits.
    fn number(&mut self) -> Option<u64> {
        let [kind, value] = self.take()?;
        Some(match kind % 4 {
            0 => u64::from(value),
            1 => u64::from(value) << 10,
            2 => u64::MAX - u64::from(value),
            _ => (1 << 63) - u64::from(value),
        })
    }

    #[allow(clippy::too_many_lines, reason = "one line for each operation")]
    fn ask(&mut self, top: &Path) -> Option<Ask> {
        let [what, handle] = self.take()?;
        let handle = u32::from(handle % 4);
        let (offset, length, other) = (self.number()?, self.number()?, self.number()?);
        let (path, to) = (self.path(top)?, self.path(top)?);
        let flag = other % 2 == 1;
        let replace = i32::from(flag);
        // Sizes that are written are bounded: a sparse file of 8 EiB is refused by the disk, not by us.
        let data = Bytes::from(vec![b'x'; (length % 4096) as usize]);
        let hash = blake3::hash(&data);
        let blake3 = match other % 3 {
            0 => Bytes::new(),
            1 => Bytes::copy_from_slice(hash.as_bytes()),
            _ => Bytes::from_static(b"no hash"),
        };
        let text = || String::from_utf8_lossy(&to).into_owned();
        Some(match what % 19 {
            0 => Ask::Stat(v1::FileStat { path, follow: flag }),
            1 => Ask::List(v1::FileList {
                path,
                recursive: flag,
                exclude: vec![text()],
            }),
            2 => Ask::Reader(v1::FileReader {
                handle,
                path,
                without_md5: flag,
            }),
            3 => Ask::Read(v1::FileRead {
                handle,
                offset,
                length: length as u32,
                carry: None,
            }),
            4 => Ask::Map(v1::FileMap { handle }),
            5 => Ask::Digest(v1::FileDigest {
                handle,
                chunk: length as u32,
            }),
            6 => Ask::Close(v1::FileClose { handle, md5: flag }),
            7 => Ask::Create(v1::FileCreate {
                handle,
                path,
                size: offset,
                key: format!("{:x}", other % 5),
                resume: length % 2 == 1,
                replace,
                without_md5: flag,
            }),
            8 => Ask::Write(v1::FileWrite {
                handle,
                offset,
                data,
                blake3,
            }),
            9 => Ask::Commit(v1::FileCommit {
                handle,
                size: length % (1 << 20),
                md5: blake3,
                mode: offset as u32,
                mtime_ns: other as i64,
            }),
            10 => Ask::Put(v1::FilePut {
                files: vec![v1::SmallFile {
                    path,
                    kind: (offset % 4) as i32,
                    mode: length as u32,
                    mtime_ns: other as i64,
                    target: Bytes::from_static(TARGETS[(length % 6) as usize]),
                    blake3: Bytes::copy_from_slice(hash.as_bytes()),
                    data,
                    replace,
                }],
            }),
            11 => Ask::Settle(v1::FileSettle {}),
            12 => Ask::Fetch(v1::FileFetch {
                paths: vec![path, to],
                carry: None,
            }),
            13 => Ask::Mkdir(v1::FileMkdir {
                paths: vec![path, to],
                parents: flag,
                mode: (offset % 0o10000) as u32,
                real: length % 2 == 1,
            }),
            14 => Ask::Remove(v1::FileRemove {
                path,
                recursive: flag,
            }),
            15 => Ask::Rename(v1::FileRename {
                from: path,
                to,
                replace,
            }),
            16 => Ask::Copy(v1::FileCopy {
                from: path,
                to,
                recursive: flag,
                replace,
            }),
            17 => Ask::Attributes(v1::FileAttributes {
                attributes: vec![v1::FileAttribute {
                    path,
                    mode: Some((length % 0o10000) as u32),
                    mtime_ns: flag.then_some(offset as i64),
                }],
            }),
            _ => Ask::Symlink(v1::FileSymlink {
                path,
                target: Bytes::from_static(TARGETS[(length % 6) as usize]),
            }),
        })
    }
}

/// Led into the ground if absolute; two steps up at most.
fn harmless(path: &[u8], top: &Path) -> Bytes {
    let mut ups = 0;
    let parts = path.split(|byte| *byte == b'/').filter(|part| {
        ups += u32::from(*part == b"..");
        *part != b".." || ups <= 2
    });
    let path = parts.collect::<Vec<_>>().join(&b'/');
    if path.starts_with(b"/") {
        return Bytes::from([top.as_os_str().as_bytes(), &path[..]].concat());
    }
    Bytes::from(path)
}

/// `…/in` with some files, `…/out` with what nobody may reach, and a link from one to the other.
struct Ground {
    wrapper: PathBuf,
    top: PathBuf,
}

impl Ground {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cmdop-fuzz-{}-{count}", std::process::id());
        let wrapper = std::env::temp_dir().join(name);
        let top = wrapper.join("top");
        std::fs::create_dir_all(top.join("in/directory")).expect("a directory");
        std::fs::create_dir(top.join("out")).expect("a directory");
        std::fs::write(top.join("out/secret"), SECRET).expect("a file");
        std::fs::write(top.join("in/file"), b"file").expect("a file");
        std::os::unix::fs::symlink("../out", top.join("in/link")).expect("a link");
        Self { wrapper, top }
    }

    /// Nothing outside has changed.
    fn check(&self) {
        let names = |path: &Path| {
            let mut names: Vec<_> = std::fs::read_dir(path)
                .expect("it is still there")
                .map(|entry| entry.expect("an entry").file_name())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&self.wrapper), [OsStr::new("top")]);
        assert_eq!(names(&self.top), [OsStr::new("in"), OsStr::new("out")]);
        assert_eq!(names(&self.top.join("out")), [OsStr::new("secret")]);
        let secret = std::fs::read(self.top.join("out/secret")).expect("it is still there");
        assert_eq!(secret, SECRET);
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.wrapper);
    }
}

#[cfg(test)]
#[path = "../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_of_names_and_ranges_replays_and_nothing_outside_is_touched() {
        super::replay::replay("files", 2000, super::requests);
    }
}
