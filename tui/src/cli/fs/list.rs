//! `fs ls`, `fs stat`, `fs du`.

use std::ffi::OsString;

use cmdop_client::files::{Follow, Listing};
use cmdop_proto::text::shown;
use cmdop_proto::v1;
use serde::Serialize;

use super::open;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::location::{self, hex, on_machine};
use crate::cli::output;
use crate::cli::table::Table;
use crate::cli::values::rfc3339;

/// List a directory
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fs ls -r web-1:/etc --exclude '*.bak' --json")]
pub(super) struct LsArgs {
    /// MACHINE:PATH
    path: OsString,
    /// With all that is in it
    #[arg(short, long)]
    recursive: bool,
    /// Leave out what matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
}

/// Show what is known of files
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fs stat web-1:/etc/hostname --json")]
pub(super) struct StatArgs {
    /// MACHINE:PATH, one or several
    #[arg(required = true)]
    paths: Vec<OsString>,
    /// Of what links lead to
    #[arg(short = 'L', long)]
    follow: bool,
}

/// Show what trees take, and the room on their disks
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fs du web-1:/var/log")]
pub(super) struct DuArgs {
    /// MACHINE:PATH, one or several
    #[arg(required = true)]
    paths: Vec<OsString>,
}

/// An entry as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    kind: &'static str,
    size: u64,
    mode: String,
    modified_at: Option<String>,
    uid: u32,
    gid: u32,
    links: u64,
    allocated: u64,
    target: Option<String>,
}

impl Record {
    pub(super) fn of(entry: &v1::FileEntry) -> Self {
        let is_link = entry.kind() == v1::FileKind::Symlink;
        Self {
            path: String::from_utf8_lossy(&entry.path).into_owned(),
            path_hex: hex(&entry.path),
            kind: kind(entry),
            size: entry.size,
            mode: format!("{:04o}", entry.mode),
            modified_at: modified(entry),
            uid: entry.uid,
            gid: entry.gid,
            links: entry.links,
            allocated: entry.allocated,
            target: is_link.then(|| String::from_utf8_lossy(&entry.target).into_owned()),
        }
    }
}

fn kind(entry: &v1::FileEntry) -> &'static str {
    match entry.kind() {
        v1::FileKind::File => "file",
        v1::FileKind::Directory => "directory",
        v1::FileKind::Symlink => "symlink",
        v1::FileKind::Special => "special",
        v1::FileKind::Unspecified => "unknown",
    }
}

fn modified(entry: &v1::FileEntry) -> Option<String> {
    let ms = u64::try_from(entry.mtime_ns / 1_000_000).ok()?;
    rfc3339(ms)
}

/// `drwxr-xr-x`, as ls has it.
pub(super) fn mode(entry: &v1::FileEntry) -> String {
    let mut text = String::with_capacity(10);
    text.push(match entry.kind() {
        v1::FileKind::Directory => 'd',
        v1::FileKind::Symlink => 'l',
        v1::FileKind::Special => 's',
        _ => '-',
    });
    for shift in [6, 3, 0] {
        let bits = entry.mode >> shift;
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if bits & bit == bit { letter } else { '-' });
        }
    }
    text
}

fn name(entry: &v1::FileEntry) -> String {
    let name = location::path(&entry.path);
    match entry.kind() {
        v1::FileKind::Symlink => format!("{name} -> {}", location::path(&entry.target)),
        v1::FileKind::Directory => name + "/",
        _ => name,
    }
}

fn table(entries: &[v1::FileEntry]) -> Table {
    let mut table = Table::new(&["MODE", "SIZE", "MODIFIED", "NAME"]);
    for entry in entries {
        table.row([
            mode(entry),
            entry.size.to_string(),
            modified(entry).unwrap_or_default(),
            name(entry),
        ]);
    }
    table
}

pub(super) async fn ls(context: &Context, args: LsArgs) -> Result<u8, Failure> {
    let (machine, path) = on_machine(&args.path)?;
    let mut files = open(context, machine).await?;
    let list = v1::FileList {
        path: path.clone(),
        recursive: args.recursive,
        exclude: args.exclude,
    };
    let mut entries = Vec::new();
    let mut unreadable = Vec::new();
    let listed = files.list(list, |part| match part {
        Listing::Entries(some) => entries.extend(some),
        Listing::Unreadable(_, refusal) => unreadable.push(refusal),
    });
    match listed.await {
        Ok(()) => {}
        // A file is listed as itself, as ls does.
        Err(error) if error.refusal().reason == "file-no-directory" => {
            entries.push(files.stat(&path, Follow::No).await?);
        }
        Err(error) => return Err(error.into()),
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let records: Vec<_> = entries.iter().map(Record::of).collect();
    output::listing(context.format(), &records, &table(&entries))?;
    for refusal in &unreadable {
        eprintln!("cmdop: {}", shown(&refusal.message, 1024));
    }
    Ok(u8::from(!unreadable.is_empty()))
}

pub(super) async fn stat(context: &Context, args: StatArgs) -> Result<u8, Failure> {
    let follow = if args.follow { Follow::Yes } else { Follow::No };
    let mut entries = Vec::new();
    for path in &args.paths {
        let (machine, path) = on_machine(path)?;
        entries.push(open(context, machine).await?.stat(&path, follow).await?);
    }
    let records: Vec<_> = entries.iter().map(Record::of).collect();
    output::listing(context.format(), &records, &table(&entries))?;
    Ok(0)
}

/// What a tree takes, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Usage {
    path: String,
    files: u64,
    directories: u64,
    bytes: u64,
    allocated: u64,
    unreadable: u64,
    disk_total: u64,
    disk_available: u64,
}

pub(super) async fn du(context: &Context, args: DuArgs) -> Result<u8, Failure> {
    let mut records = Vec::new();
    let mut table = Table::new(&[
        "BYTES",
        "ALLOCATED",
        "FILES",
        "DIRECTORIES",
        "DISK FREE",
        "PATH",
    ]);
    for path in &args.paths {
        let (machine, inner) = on_machine(path)?;
        let usage = open(context, machine).await?.usage(&inner).await?;
        let path = shown(&path.to_string_lossy(), 4096);
        table.row([
            usage.bytes.to_string(),
            usage.allocated.to_string(),
            usage.files.to_string(),
            usage.directories.to_string(),
            usage.disk_available.to_string(),
            path.clone(),
        ]);
        records.push(Usage {
            path,
            files: usage.files,
            directories: usage.directories,
            bytes: usage.bytes,
            allocated: usage.allocated,
            unreadable: usage.unreadable,
            disk_total: usage.disk_total,
            disk_available: usage.disk_available,
        });
    }
    output::listing(context.format(), &records, &table)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_as_with_ls_and_steers_no_terminal() {
        let entry = v1::FileEntry {
            path: b"a\x1b[2J\xff".as_slice().into(),
            kind: v1::FileKind::Symlink.into(),
            mode: 0o750,
            target: b"/etc".as_slice().into(),
            ..v1::FileEntry::default()
        };
        assert_eq!(mode(&entry), "lrwxr-x---");
        assert_eq!(name(&entry), "a[2J\u{fffd} -> /etc");
        assert_eq!(Record::of(&entry).path_hex.as_deref(), Some("611b5b324aff"));
    }
}
