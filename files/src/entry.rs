//! What the system knows of a file, as it travels.

use std::os::fd::AsFd;

use bytes::Bytes;
use cmdop_proto::v1;
use rustix::fs::{AtFlags, FileType, Stat};

/// What `stat` says, under this path.
pub(crate) fn entry(path: &[u8], stat: &Stat) -> v1::FileEntry {
    v1::FileEntry {
        path: Bytes::copy_from_slice(path),
        kind: kind(stat).into(),
        size: stat.st_size as u64,
        mode: mode(stat),
        mtime_ns: mtime_ns(stat),
        uid: stat.st_uid,
        gid: stat.st_gid,
        target: Bytes::new(),
        allocated: allocated(stat),
        links: stat.st_nlink as u64,
        version: Some(version(stat)),
    }
}

/// The same of a name in a directory, with where it leads if it is a link.
pub(crate) fn entry_in(
    directory: impl AsFd,
    name: &std::ffi::CStr,
    path: &[u8],
    stat: &Stat,
) -> v1::FileEntry {
    let mut entry = entry(path, stat);
    if kind(stat) == v1::FileKind::Symlink {
        // A link that is gone meanwhile leads nowhere.
        let target = rustix::fs::readlinkat(directory, name, Vec::new());
        entry.target = target
            .map(|target| target.into_bytes().into())
            .unwrap_or_default();
    }
    entry
}

pub(crate) fn kind(stat: &Stat) -> v1::FileKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => v1::FileKind::File,
        FileType::Directory => v1::FileKind::Directory,
        FileType::Symlink => v1::FileKind::Symlink,
        _ => v1::FileKind::Special,
    }
}

pub(crate) fn mode(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

pub(crate) fn mtime_ns(stat: &Stat) -> i64 {
    nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64)
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

/// Blocks are counted in 512 bytes, whatever the file system has (stat(2)).
pub(crate) fn allocated(stat: &Stat) -> u64 {
    (stat.st_blocks as u64).saturating_mul(512)
}

pub(crate) fn version(stat: &Stat) -> v1::FileVersion {
    v1::FileVersion {
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        size: stat.st_size as u64,
        mtime_ns: mtime_ns(stat),
        ctime_ns: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    }
}

/// Whether it is the same file with the same content. The time of its last change of state is left out: giving
/// it another name changes that.
pub(crate) fn is_same(one: &v1::FileVersion, other: &v1::FileVersion) -> bool {
    let content = |v: &v1::FileVersion| (v.device, v.inode, v.size, v.mtime_ns);
    content(one) == content(other)
}

/// What stands under a name, if anything does; links are not followed.
pub(crate) fn present(
    directory: impl AsFd,
    name: &std::ffi::OsStr,
) -> Result<Option<Stat>, rustix::io::Errno> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}
