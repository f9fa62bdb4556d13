//! `cmdop cp`: what arrives is what left, whatever kind of file it is and wherever it goes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use cmdop_tests::World;
use sha2::Digest as _;

/// The place on a machine of the world.
pub(crate) fn on(machine: &str, path: &Path) -> String {
    format!("{machine}:{}", path.display())
}

/// What a program sees of a tree: each path with its kind, mode, time and content.
fn tree(top: &Path) -> BTreeMap<OsString, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![top.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let about = std::fs::symlink_metadata(&path).unwrap();
            let content = if about.is_symlink() {
                std::fs::read_link(&path).unwrap().display().to_string()
            } else if about.is_dir() {
                left.push(path.clone());
                String::new()
            } else {
                let data = std::fs::read(&path).unwrap();
                format!("{} {:x?}", data.len(), sha2::Sha256::digest(&data))
            };
            let mode = if about.is_symlink() { 0 } else { about.mode() };
            let name = path.strip_prefix(top).unwrap().as_os_str().to_owned();
            let line = format!(
                "{mode:o} {}.{} {content}",
                about.mtime(),
                about.mtime_nsec()
            );
            found.insert(name, line);
        }
    }
    found
}

/// Bytes without a pattern, the same on every run.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A tree with everything that copying programs get wrong.
fn odd_files(top: &Path) {
    std::fs::create_dir_all(top.join("a/b/c")).unwrap();
    std::fs::create_dir(top.join("empty directory")).unwrap();
    std::fs::write(top.join("empty"), "").unwrap();
    std::fs::write(top.join("a/binary"), noise((3 << 20) + 7)).unwrap();
    std::fs::write(top.join("a/b/whole pieces"), noise(512 << 10)).unwrap();
    std::fs::write(top.join("a/b/c/small"), "small\n").unwrap();
    std::fs::write(top.join(OsStr::from_bytes(b"no \xff\xfe text\n")), "x").unwrap();
    std::fs::write(top.join(OsStr::from_bytes(&[b'n'; 255])), "longest name").unwrap();
    symlink("../nowhere", top.join("a/dangling")).unwrap();
    symlink("/etc/hostname", top.join("absolute")).unwrap();
    let sparse = std::fs::File::create(top.join("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"in the middle", 32 << 20).unwrap();
    drop(sparse);
    for (name, mode) in [("empty", 0o600), ("a/b/c/small", 0o755), ("a/b/c", 0o700)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(top.join(name), mode).unwrap();
    }
    for name in ["a/b/c/small", "sparse", "a/b", "a/binary"] {
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_234_567_890, 123_456_789);
        let file = std::fs::File::open(top.join(name)).unwrap();
        file.set_modified(time).unwrap();
    }
}

#[tokio::test]
async fn odd_files_come_back_as_they_went() {
    let world = World::start().await;
    let (here, there, back) = places(&world);
    odd_files(&here);
    let up = world
        .cmdop(&["cp", "-r", text(&here), &on("web-1", &there)])
        .await;
    up.ok();
    assert_eq!(tree(&there), tree(&here));
    assert!(
        std::fs::metadata(there.join("sparse")).unwrap().blocks() < 1024,
        "holes were filled"
    );
    let down = world
        .cmdop(&["cp", "-r", &on("web-1", &there), text(&back)])
        .await;
    down.ok();
    assert_eq!(tree(&back), tree(&here));
}

fn places(world: &World) -> (std::path::PathBuf, std::path::PathBuf, std::path::PathBuf) {
    let top = world.directory();
    let here = top.join("here");
    std::fs::create_dir(&here).unwrap();
    (here, top.join("there"), top.join("back"))
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn ten_thousand_small_files_arrive_and_a_second_copy_sends_none() {
    let world = World::start().await;
    let (here, there, _) = places(&world);
    for directory in 0..100 {
        let directory = here.join(format!("d{directory}"));
        std::fs::create_dir(&directory).unwrap();
        for file in 0..100 {
            let content = format!("{} {file}", directory.display()).repeat(file % 30);
            std::fs::write(directory.join(format!("f{file}")), content).unwrap();
        }
    }
    let to = on("web-1", &there);
    let result = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let first = result(
        world
            .cmdop(&["cp", "-r", "--json", text(&here), &to])
            .await
            .ok(),
    );
    assert_eq!(first["files"], 10_101);
    assert_eq!(tree(&there), tree(&here));
    // `here` goes into `there` now, unless its content is named.
    let inside = format!("{}/.", here.display());
    let again = world
        .cmdop(&["cp", "-r", "--resume", "--json", &inside, &to])
        .await;
    let again = result(again.ok());
    assert_eq!(
        (&again["bytes_sent"], &again["files"]),
        (&0.into(), &10_101.into())
    );
    assert_eq!(tree(&there), tree(&here));
}

#[tokio::test]
async fn a_copy_between_two_machines_leaves_nothing_here() {
    let world = World::with().machines(&["web-1", "web-2"]).start().await;
    let (here, there, back) = places(&world);
    odd_files(&here);
    let (from, to) = (on("web-1", &here), on("web-2", &there));
    world.cmdop(&["cp", "-r", &from, &to]).await.ok();
    assert_eq!(tree(&there), tree(&here));
    assert!(!back.exists());
}

#[tokio::test]
async fn what_is_the_same_is_not_sent_and_what_differs_is_sent_alone() {
    let world = World::start().await;
    let (here, there, _) = places(&world);
    let mut content = noise(8 << 20);
    let (file, copy) = (here.join("file"), there.clone());
    std::fs::write(&file, &content).unwrap();
    let to = on("web-1", &copy);
    let args = ["cp", "--checksum", "--json", text(&file), &to];
    let sent = |text: String| {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["bytes_sent"].as_u64().unwrap()
    };
    assert_eq!(sent(world.cmdop(&args).await.ok()), 8 << 20);
    assert_eq!(sent(world.cmdop(&args).await.ok()), 0);
    content[5 << 20] ^= 1;
    std::fs::write(&file, &content).unwrap();
    world.cmdop(&args).await.ok();
    assert_eq!(std::fs::read(&copy).unwrap(), content);
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_what_is_excluded_stays() {
    let world = World::start().await;
    let (here, there, _) = places(&world);
    odd_files(&here);
    let to = on("web-1", &there);
    let dry = ["cp", "-r", "--dry-run", text(&here), &to];
    let planned = world.cmdop(&dry).await.ok();
    assert!(planned.contains("a/binary") && !there.exists(), "{planned}");
    let args = [
        "cp",
        "-r",
        "--exclude",
        "*binary",
        "--exclude",
        "a/b/c",
        text(&here),
        &to,
    ];
    world.cmdop(&args).await.ok();
    assert!(there.join("sparse").exists());
    assert!(!there.join("a/binary").exists() && !there.join("a/b/c").exists());
}

#[tokio::test]
async fn a_copy_to_all_machines_with_a_label_says_what_became_of_each() {
    let mut world = World::start().await;
    for name in ["web-2", "web-3"] {
        let labelled = ["--label", "role=web"];
        let machine = world.enroll_machine(name, &labelled).await;
        // All machines of a world have the same home.
        let own = machine.home().display().to_string();
        machine.configure(&format!("[files]\nowner = [\"{own}\"]\n"));
        machine.run().await;
    }
    let file = world.directory().join("file");
    std::fs::write(&file, "for all").unwrap();
    let args = ["cp", "-l", "role=web", text(&file), ":copied"];
    let all = world.cmdop(&args).await;
    assert!(
        all.err().contains("web-2: 1 copied") && all.err().contains("web-3: 1 copied"),
        "{all:?}"
    );
    all.ok();
    for name in ["web-2", "web-3"] {
        let copied = world.machine(name).home().join("copied");
        assert_eq!(std::fs::read(copied).unwrap(), b"for all", "{name}");
    }
}

#[tokio::test]
async fn several_sources_need_a_directory_and_a_directory_needs_r() {
    let world = World::start().await;
    let (here, there, _) = places(&world);
    odd_files(&here);
    let to = on("web-1", &there);
    let (one, two) = (here.join("empty"), here.join("sparse"));
    let several = world.cmdop(&["cp", text(&one), text(&two), &to]).await;
    several.refused(2, &["is not a directory"]);
    let directory = world.cmdop(&["cp", text(&here), &to]).await;
    directory.refused(2, &["is a directory", "-r"]);
    let missing = world
        .cmdop(&["cp", &on("web-1", &there), text(&here)])
        .await;
    missing.refused(69, &["no such file"]);
    std::fs::create_dir(&there).unwrap();
    world.cmdop(&["cp", text(&one), text(&two), &to]).await.ok();
    assert!(there.join("empty").exists() && there.join("sparse").exists());
    let kept = world.cmdop(&["cp", "--no-clobber", text(&one), &to]).await;
    kept.refused(2, &["there already"]);
}
