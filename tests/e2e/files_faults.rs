//! What goes wrong while files are copied: afterwards the whole file is there and proved, or nothing under its
//! name and a clear error.

use std::path::{Path, PathBuf};

use cmdop_tests::{World, process, wait};
use rustix::process::Signal;
use tokio::process::Child;

use crate::files::{noise, on, text};

const SIZE: usize = 48 << 20;

/// A file of noise, where its copy goes, and the command that copies it at a rate that leaves time.
struct Copy {
    file: PathBuf,
    copy: PathBuf,
    args: Vec<String>,
}

impl Copy {
    fn up(world: &World) -> Self {
        let file = world.directory().join("file");
        std::fs::write(&file, noise(SIZE)).unwrap();
        let directory = world.directory().join("there");
        std::fs::create_dir(&directory).unwrap();
        let copy = directory.join("copy");
        let args = [
            "cp",
            "--bwlimit",
            "24M",
            "--json",
            text(&file),
            &on("web-1", &copy),
        ];
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self { file, copy, args }
    }

    fn start(&self, world: &World, more: &[&str]) -> Child {
        let args: Vec<&str> = self
            .args
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        world.owner.cli.start(&args)
    }

    /// The file under its temporary name.
    fn partial(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(self.copy.parent().unwrap()).ok()?;
        let mut paths = entries.flatten().map(|entry| entry.path());
        paths.find(|path| path.extension().is_some_and(|end| end == "cmdop-part"))
    }

    /// Waits until so much is written.
    async fn has(&self, share: f64) {
        let wanted = (SIZE as f64 * share) as u64;
        wait::until_true("a part of the file is there", || {
            let length = self.partial().and_then(|path| std::fs::metadata(path).ok());
            length.is_some_and(|about| about.len() >= wanted)
        })
        .await;
    }

    fn assert_whole(&self) {
        let (sent, came) = (
            std::fs::read(&self.file).unwrap(),
            std::fs::read(&self.copy).unwrap(),
        );
        assert!(sent == came, "{} of {} bytes", came.len(), sent.len());
        assert_eq!(self.partial(), None);
    }
}

async fn end(child: Child) -> cmdop_tests::cli::Outcome {
    wait::within_times("the copy ends", 6, cmdop_tests::cli::finish(child, &[])).await
}

fn sent(outcome: &cmdop_tests::cli::Outcome) -> u64 {
    let result: serde_json::Value = serde_json::from_str(&outcome.out()).unwrap();
    result["bytes_sent"].as_u64().unwrap()
}

#[tokio::test]
async fn a_copy_that_was_killed_at_70_percent_goes_on_with_the_rest() {
    let world = World::start().await;
    let copy = Copy::up(&world);
    let mut child = copy.start(&world, &[]);
    copy.has(0.7).await;
    child.kill().await.unwrap();
    assert!(!copy.copy.exists());
    let outcome = end(copy.start(&world, &["--resume"])).await;
    let sent = sent(&outcome);
    outcome.ok();
    copy.assert_whole();
    assert!(sent < SIZE as u64 * 31 / 100, "{sent} of {SIZE}");
}

#[tokio::test]
async fn a_copy_survives_cuts_of_every_connection() {
    let world = World::with().relay_behind_proxy().start().await;
    let copy = Copy::up(&world);
    let child = copy.start(&world, &[]);
    for share in [0.2, 0.5, 0.8] {
        copy.has(share).await;
        world.relay.proxy().cut();
    }
    let outcome = end(child).await;
    let sent = sent(&outcome);
    outcome.ok();
    copy.assert_whole();
    assert!(sent < SIZE as u64 * 3 / 2, "{sent} of {SIZE}");
}

#[tokio::test]
async fn a_copy_survives_the_death_of_the_agents_worker_and_of_the_relay() {
    let mut world = World::start().await;
    let copy = Copy::up(&world);
    let child = copy.start(&world, &[]);
    copy.has(0.3).await;
    world.machine("web-1").kill_worker().await;
    copy.has(0.6).await;
    world.crash_relay().await;
    end(child).await.ok();
    copy.assert_whole();
}

#[tokio::test]
async fn a_download_survives_cuts_and_goes_on_after_its_client_was_killed() {
    let world = World::with().relay_behind_proxy().start().await;
    let mut copy = Copy::up(&world);
    let args = [
        "cp",
        "--bwlimit",
        "24M",
        "--json",
        &on("web-1", &copy.file),
        text(&copy.copy),
    ];
    copy.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    let mut child = copy.start(&world, &[]);
    copy.has(0.3).await;
    world.relay.proxy().cut();
    copy.has(0.7).await;
    child.kill().await.unwrap();
    let outcome = end(copy.start(&world, &["--resume"])).await;
    let sent = sent(&outcome);
    outcome.ok();
    copy.assert_whole();
    assert!(sent < SIZE as u64 * 31 / 100, "{sent} of {SIZE}");
}

#[tokio::test]
async fn an_interrupt_ends_a_copy_in_order_and_says_how_to_go_on() {
    let world = World::start().await;
    let copy = Copy::up(&world);
    let child = copy.start(&world, &[]);
    copy.has(0.2).await;
    process::signal(child.id().unwrap(), Signal::INT);
    let outcome = end(child).await;
    assert_eq!(outcome.status, 130, "{outcome:?}");
    assert!(!copy.copy.exists() && copy.partial().is_some());
    end(copy.start(&world, &["--resume"])).await.ok();
    copy.assert_whole();
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_not_copied() {
    let world = World::start().await;
    let copy = Copy::up(&world);
    for how in ["grows", "is truncated", "is overwritten"] {
        let child = copy.start(&world, &[]);
        copy.has(0.3).await;
        let file = std::fs::File::options()
            .write(true)
            .open(&copy.file)
            .unwrap();
        let write = |offset| std::os::unix::fs::FileExt::write_all_at(&file, b"changed", offset);
        match how {
            "grows" => write(SIZE as u64 + 100).unwrap(),
            "is truncated" => file.set_len(SIZE as u64 / 2).unwrap(),
            _ => write(100).unwrap(),
        }
        let outcome = end(child).await;
        assert_eq!(outcome.status, 69, "{how}: {outcome:?}");
        assert!(
            outcome.out().contains("source-changed"),
            "{how}: {outcome:?}"
        );
        assert!(!copy.copy.exists() && copy.partial().is_none(), "{how}");
        std::fs::write(&copy.file, noise(SIZE)).unwrap();
    }
}

#[tokio::test]
async fn a_destination_that_somebody_else_changes_meanwhile_is_left_to_them() {
    let world = World::start().await;
    let copy = Copy::up(&world);
    for before in [None, Some("as it was")] {
        let _ = std::fs::remove_file(&copy.copy);
        if let Some(partial) = copy.partial() {
            std::fs::remove_file(partial).unwrap();
        }
        if let Some(before) = before {
            std::fs::write(&copy.copy, before).unwrap();
        }
        let child = copy.start(&world, &[]);
        copy.has(0.3).await;
        std::fs::write(&copy.copy, "by somebody else").unwrap();
        let outcome = end(child).await;
        assert_eq!(outcome.status, 2, "{outcome:?}");
        assert!(outcome.out().contains("destination-changed"), "{outcome:?}");
        assert_eq!(std::fs::read(&copy.copy).unwrap(), b"by somebody else");
    }
}

/// A file system of 40 MiB, if this user may make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=40m", "none"])
            .arg(at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_before_or_while_it_is_written_and_no_half_file_gets_the_name() {
    let world = World::start().await;
    let mut copy = Copy::up(&world);
    let Some(disk) = SmallDisk::mount(&world.directory().join("disk")) else {
        println!("this user cannot mount a file system: left out");
        return;
    };
    copy.copy = disk.0.join("copy");
    copy.args[5] = on("web-1", &copy.copy);
    let before = end(copy.start(&world, &[])).await;
    assert_eq!(before.status, 75, "{before:?}");
    assert!(
        before.out().contains("disk-full")
            && copy
                .partial()
                .is_none_or(|p| p.metadata().unwrap().len() == 0)
    );
    // It would fit, and then somebody else takes the room.
    std::fs::write(&copy.file, noise(20 << 20)).unwrap();
    let child = copy.start(&world, &[]);
    copy.has(0.1).await;
    let filled = std::fs::write(disk.0.join("other"), noise(39 << 20));
    assert!(filled.is_err(), "the disk is larger than it should be");
    let outcome = end(child).await;
    assert_eq!(outcome.status, 75, "{outcome:?}");
    assert!(outcome.out().contains("disk-full"), "{outcome:?}");
    assert!(!copy.copy.exists());
}

/// A directory that nobody may write into, not even its owner or root, for as long as this lives.
struct Shut<'a>(&'a Path);

impl<'a> Shut<'a> {
    fn new(directory: &'a Path) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o500);
            std::fs::set_permissions(directory, mode).unwrap();
            return Some(Self(directory));
        }
        Self::immutable(directory, "+i").then_some(Self(directory))
    }

    fn immutable(directory: &Path, how: &str) -> bool {
        let mut chattr = std::process::Command::new("chattr");
        let output = chattr.arg(how).arg(directory).output();
        output.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        if rustix::process::geteuid().is_root() {
            Self::immutable(self.0, "-i");
        } else {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            let _ = std::fs::set_permissions(self.0, mode);
        }
    }
}

#[tokio::test]
async fn a_right_that_is_taken_away_meanwhile_is_said_and_no_half_file_gets_the_name() {
    let world = World::start().await;
    let copy = Copy::up(&world);
    let child = copy.start(&world, &[]);
    copy.has(0.3).await;
    let directory = copy.copy.parent().unwrap().to_owned();
    let Some(shut) = Shut::new(&directory) else {
        println!("this user cannot take a right away: left out");
        return;
    };
    let outcome = end(child).await;
    drop(shut);
    assert_eq!(outcome.status, 77, "{outcome:?}");
    assert!(outcome.out().contains("file-denied"), "{outcome:?}");
    assert!(!copy.copy.exists());
    end(copy.start(&world, &["--resume", "--no-md5"]))
        .await
        .ok();
    copy.assert_whole();
}
