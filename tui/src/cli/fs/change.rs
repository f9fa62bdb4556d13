//! `fs mkdir`, `fs rm`, `fs mv`, `fs cp`, `fs chmod`, `fs ln`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use bytes::Bytes;
use cmdop_client::files::{Files, Follow};
use cmdop_proto::v1;

use super::open;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::location::{location, on_machine};

/// Make directories
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fs mkdir -p web-1:/srv/site/logs")]
pub(super) struct MkdirArgs {
    /// MACHINE:PATH, one or several
    #[arg(required = true)]
    paths: Vec<OsString>,
    /// With all that lead there; one that is there already is no fault
    #[arg(short, long)]
    parents: bool,
    /// Its mode in octal digits, for example 0750
    #[arg(short, long, value_parser = octal)]
    mode: Option<u32>,
}

/// Remove files
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fs rm -r web-1:/tmp/build")]
pub(super) struct RmArgs {
    /// MACHINE:PATH, one or several
    #[arg(required = true)]
    paths: Vec<OsString>,
    /// Directories too, with all that is in them
    #[arg(short, long)]
    recursive: bool,
    /// What is not there is no fault
    #[arg(short, long)]
    force: bool,
}

/// Move or rename on one machine
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fs mv web-1:old.txt new.txt")]
pub(super) struct MvArgs {
    /// MACHINE:PATH
    from: OsString,
    /// A path on the same machine; into it if it is a directory
    to: OsString,
    /// Never replace what is there
    #[arg(short, long)]
    no_clobber: bool,
}

/// Copy on one machine, without sending anything
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fs cp -r web-1:/srv/site site.backup")]
pub(super) struct CpArgs {
    /// MACHINE:PATH
    from: OsString,
    /// A path on the same machine; into it if it is a directory
    to: OsString,
    /// Directories too, with all that is in them
    #[arg(short, long)]
    recursive: bool,
    /// Never replace what is there
    #[arg(short, long)]
    no_clobber: bool,
}

/// Change the mode of files
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fs chmod 0640 web-1:/etc/app.conf")]
pub(super) struct ChmodArgs {
    /// In octal digits
    #[arg(value_parser = octal)]
    mode: u32,
    /// MACHINE:PATH, one or several
    #[arg(required = true)]
    paths: Vec<OsString>,
}

/// Make a symbolic link
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cmdop fs ln /srv/releases/7 web-1:/srv/current")]
pub(super) struct LnArgs {
    /// Where the link leads, as it will stand there
    target: OsString,
    /// MACHINE:PATH of the link
    path: OsString,
}

fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 => Ok(mode),
        _ => Err("a mode is up to four octal digits, for example 0644".into()),
    }
}

fn replace(never: bool) -> i32 {
    if never {
        v1::FileReplace::Never.into()
    } else {
        v1::FileReplace::Unspecified.into()
    }
}

pub(super) async fn mkdir(context: &Context, args: MkdirArgs) -> Result<u8, Failure> {
    for path in &args.paths {
        let (machine, path) = on_machine(path)?;
        let mkdir = v1::FileMkdir {
            paths: vec![path],
            parents: args.parents,
            mode: args.mode.unwrap_or(0),
            real: false,
        };
        open(context, machine).await?.mkdir(mkdir).await?;
    }
    Ok(0)
}

pub(super) async fn rm(context: &Context, args: RmArgs) -> Result<u8, Failure> {
    for path in &args.paths {
        let (machine, path) = on_machine(path)?;
        let removed = open(context, machine)
            .await?
            .remove(&path, args.recursive)
            .await;
        match removed {
            Err(error) if args.force && error.refusal().reason == "file-unknown" => {}
            removed => {
                removed?;
            }
        }
    }
    Ok(0)
}

pub(super) async fn mv(context: &Context, args: MvArgs) -> Result<u8, Failure> {
    let (machine, from) = on_machine(&args.from)?;
    let to = same_machine(&machine, &args.to)?;
    let mut files = open(context, machine).await?;
    let rename = v1::FileRename {
        to: into(&mut files, &from, to).await?,
        from,
        replace: replace(args.no_clobber),
    };
    files.rename(rename).await?;
    Ok(0)
}

pub(super) async fn cp(context: &Context, args: CpArgs) -> Result<u8, Failure> {
    let (machine, from) = on_machine(&args.from)?;
    let to = same_machine(&machine, &args.to)?;
    let mut files = open(context, machine).await?;
    let copy = v1::FileCopy {
        to: into(&mut files, &from, to).await?,
        from,
        recursive: args.recursive,
        replace: replace(args.no_clobber),
    };
    files.copy(copy).await?;
    Ok(0)
}

/// The destination, which need not name the machine again.
fn same_machine(machine: &str, to: &OsStr) -> Result<Bytes, Failure> {
    let location = location(to);
    match location.place {
        cmdop_client::files::Place::Here => Ok(location.path),
        cmdop_client::files::Place::Machine(other) if other == machine => Ok(location.path),
        cmdop_client::files::Place::Machine(_) => Err(Failure::usage(
            "source and destination are on different machines",
        )
        .hint("`cmdop cp` copies between machines")),
    }
}

/// Into a directory, under the same name.
async fn into(files: &mut Files, from: &[u8], to: Bytes) -> Result<Bytes, Failure> {
    let is_directory = match files.stat(&to, Follow::Yes).await {
        Ok(entry) => entry.kind() == v1::FileKind::Directory,
        Err(error) if error.refusal().reason == "file-unknown" => false,
        Err(error) => return Err(error.into()),
    };
    let name = from
        .split(|byte| *byte == b'/')
        .rfind(|part| !part.is_empty());
    Ok(match name {
        Some(name) if is_directory => Bytes::from([&to[..], b"/", name].concat()),
        _ => to,
    })
}

pub(super) async fn chmod(context: &Context, args: ChmodArgs) -> Result<u8, Failure> {
    for path in &args.paths {
        let (machine, path) = on_machine(path)?;
        let attribute = v1::FileAttribute {
            path,
            mode: Some(args.mode),
            mtime_ns: None,
        };
        open(context, machine)
            .await?
            .attributes(vec![attribute])
            .await?;
    }
    Ok(0)
}

pub(super) async fn ln(context: &Context, args: LnArgs) -> Result<u8, Failure> {
    let (machine, path) = on_machine(&args.path)?;
    let target = args.target.as_bytes();
    open(context, machine).await?.symlink(&path, target).await?;
    Ok(0)
}
