//! Copies to several machines, and between two: the bytes travel once, and nobody waits for a machine that is slow.

use std::path::{Path, PathBuf};

use cmdop_tests::faults::Proxy;
use cmdop_tests::{World, process, wait};
use rustix::process::Signal;

use crate::files::{noise, on, text};

/// Machines that see their own home only: all of a world are on one disk.
async fn machines(world: &mut World, names: &[&str]) {
    for name in names {
        let machine = world.enroll_machine(name, &["--label", "role=web"]).await;
        let own = machine.home().display().to_string();
        machine.configure(&format!("[files]\nowner = [\"{own}\"]\n"));
        machine.run().await;
    }
}

fn home(world: &mut World, name: &str) -> PathBuf {
    world.machine(name).home().to_owned()
}

/// What passes between the owner's client and the relay from now on.
async fn counted(world: &World) -> Proxy {
    let proxy = Proxy::start(world.relay.address()).await;
    let url = format!("https://{}", proxy.address());
    world.owner.use_relay(&url);
    proxy
}

/// A large file, an empty one, and many small ones.
fn tree(top: &Path) {
    std::fs::create_dir_all(top.join("small")).unwrap();
    std::fs::write(top.join("large"), noise((20 << 20) + 3)).unwrap();
    std::fs::write(top.join("empty"), "").unwrap();
    for file in 0..500 {
        std::fs::write(top.join(format!("small/{file}")), noise(file * 17)).unwrap();
    }
    std::os::unix::fs::symlink("large", top.join("link")).unwrap();
}

fn assert_same(one: &Path, other: &Path) {
    let status = std::process::Command::new("diff")
        .args(["-r", "--no-dereference"])
        .args([one, other])
        .status()
        .unwrap();
    assert!(
        status.success(),
        "{} and {}",
        one.display(),
        other.display()
    );
}

#[tokio::test]
async fn what_goes_to_many_machines_is_sent_once() {
    let mut world = World::start().await;
    let names = ["web-2", "web-3", "web-4"];
    machines(&mut world, &names).await;
    let from = world.directory().join("from");
    tree(&from);
    let proxy = counted(&world).await;
    let args = ["cp", "-r", "--json", "-l", "role=web", text(&from), ":to"];
    let copied = world.cmdop(&args).await;
    let results: Vec<serde_json::Value> = copied
        .ok()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(results.len(), 3);
    for result in &results {
        assert_eq!(result["files"], 505, "{result}");
    }
    for name in names {
        assert_same(&from, &home(&mut world, name).join("to"));
    }
    let carried = proxy.carried();
    assert!(carried < 30 << 20, "{carried} bytes for 24 MiB to three");
}

#[tokio::test]
async fn a_machine_that_stands_still_stops_nobody_and_gets_the_rest_later() {
    let mut world = World::start().await;
    let names = ["web-2", "web-3", "web-4"];
    machines(&mut world, &names).await;
    let file = world.directory().join("file");
    std::fs::write(&file, noise(40 << 20)).unwrap();
    let stuck = home(&mut world, "web-4");
    let worker = world.machine("web-4").worker().await;
    let args = [
        "cp",
        "--bwlimit",
        "20M",
        "-l",
        "role=web",
        text(&file),
        ":to",
    ];
    let child = world.owner.cli.start(&args);
    wait::until_true("the copy has begun", || {
        std::fs::read_dir(&stuck).unwrap().flatten().any(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().ends_with(".cmdop-part")
                && entry.metadata().is_ok_and(|about| about.len() > 2 << 20)
        })
    })
    .await;
    process::freeze(worker).await;
    for name in ["web-2", "web-3"] {
        let to = home(&mut world, name).join("to");
        wait::until_true("the others have it", || to.exists()).await;
        assert_same(&file, &to);
    }
    assert!(!stuck.join("to").exists());
    process::signal(worker, Signal::CONT);
    let ended = wait::within_times("the copy ends", 6, cmdop_tests::cli::finish(child, &[])).await;
    ended.ok();
    assert_same(&file, &stuck.join("to"));
}

#[tokio::test]
async fn a_machine_that_dies_is_named_and_the_others_get_everything() {
    let mut world = World::start().await;
    let names = ["web-2", "web-3", "web-4"];
    machines(&mut world, &names).await;
    let file = world.directory().join("file");
    std::fs::write(&file, noise(20 << 20)).unwrap();
    // One may not write where it should go.
    let shut = home(&mut world, "web-3");
    let machine = world.machine("web-3");
    machine.stop().await;
    machine.configure("[files]\nowner = []\n");
    machine.run().await;
    let args = [
        "cp",
        "--bwlimit",
        "10M",
        "-l",
        "role=web",
        text(&file),
        ":to",
    ];
    let child = world.owner.cli.start(&args);
    let dying = home(&mut world, "web-4");
    wait::until_true("the copy has begun", || {
        let entries = std::fs::read_dir(&dying).unwrap().flatten();
        entries.into_iter().any(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().ends_with(".cmdop-part")
        })
    })
    .await;
    world.machine("web-4").kill_worker().await;
    let ended = wait::within_times("the copy ends", 6, cmdop_tests::cli::finish(child, &[])).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    let said = ended.err();
    assert!(
        said.contains("web-3: ") && said.contains("no files"),
        "{said}"
    );
    for name in ["web-2", "web-4"] {
        assert!(said.contains(&format!("{name}: 1 copied")), "{said}");
        assert_same(&file, &home(&mut world, name).join("to"));
    }
    assert!(!shut.join("to").exists());
}

#[tokio::test]
async fn between_two_machines_no_content_passes_the_client() {
    let world = World::with().machines(&["web-1", "web-2"]).start().await;
    let from = world.directory().join("from");
    tree(&from);
    let proxy = counted(&world).await;
    let to = world.directory().join("to");
    let args = ["cp", "-r", &on("web-1", &from), &on("web-2", &to)];
    world.cmdop(&args).await.ok();
    assert_same(&from, &to);
    let carried = proxy.carried();
    assert!(carried < 1 << 20, "{carried} bytes passed the client");
}

#[tokio::test]
async fn what_a_machine_has_goes_to_many_without_the_client() {
    let mut world = World::start().await;
    let names = ["web-2", "web-3"];
    machines(&mut world, &names).await;
    let from = world.directory().join("from");
    tree(&from);
    let proxy = counted(&world).await;
    let args = ["cp", "-r", "-l", "role=web", &on("web-1", &from), ":to"];
    world.cmdop(&args).await.ok();
    for name in names {
        assert_same(&from, &home(&mut world, name).join("to"));
    }
    let carried = proxy.carried();
    assert!(carried < 1 << 20, "{carried} bytes passed the client");
}

#[tokio::test]
async fn a_copy_between_machines_survives_cuts_and_the_death_of_either_end() {
    let mut world = World::with()
        .machines(&["web-1", "web-2"])
        .relay_behind_proxy()
        .start()
        .await;
    let from = world.directory().join("from");
    std::fs::write(&from, noise(48 << 20)).unwrap();
    let directory = world.directory().join("there");
    std::fs::create_dir(&directory).unwrap();
    let to = directory.join("to");
    let args = [
        "cp",
        "--bwlimit",
        "16M",
        &on("web-1", &from),
        &on("web-2", &to),
    ];
    let child = world.owner.cli.start(&args);
    let has = |bytes: u64| {
        let directory = directory.clone();
        wait::until_true("a part of the file is there", move || {
            let mut entries = std::fs::read_dir(&directory).unwrap().flatten();
            entries.any(|entry| entry.metadata().is_ok_and(|about| about.len() >= bytes))
        })
    };
    has(8 << 20).await;
    world.relay.proxy().cut();
    has(18 << 20).await;
    world.machine("web-1").kill_worker().await;
    has(30 << 20).await;
    world.machine("web-2").kill_worker().await;
    let ended = wait::within_times("the copy ends", 6, cmdop_tests::cli::finish(child, &[])).await;
    ended.ok();
    assert_same(&from, &to);
}
