//! `cmdop fs`: each verb does what its namesake does.

use cmdop_tests::{World, wait};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::files::{on, text};

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn files_are_made_looked_at_moved_and_removed() {
    let world = World::start().await;
    let top = world.directory().join("top");
    let at = |path: &str| on("web-1", &top.join(path));
    world
        .cmdop(&["fs", "mkdir", "-p", "-m", "0750", &at("a/b")])
        .await
        .ok();
    std::fs::write(top.join("a/file"), "content\n").unwrap();
    let listed = world.cmdop(&["fs", "ls", "--json", &at("a")]).await.ok();
    let names: Vec<_> = json(&listed)
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["path"].clone())
        .collect();
    assert_eq!(names, ["b", "file"]);
    let shown = world
        .cmdop(&["fs", "stat", "--json", &at("a/b")])
        .await
        .ok();
    assert_eq!(
        (&json(&shown)[0]["kind"], &json(&shown)[0]["mode"]),
        (&"directory".into(), &"0750".into())
    );
    assert_eq!(
        world.cmdop(&["fs", "cat", &at("a/file")]).await.ok(),
        "content\n"
    );
    let part = ["fs", "cat", "--offset", "3", "--length", "2", &at("a/file")];
    assert_eq!(world.cmdop(&part).await.ok(), "te");
    world
        .cmdop(&["fs", "cp", &at("a/file"), text(&top.join("a/b"))])
        .await
        .ok();
    world
        .cmdop(&["fs", "mv", &at("a/file"), text(&top.join("moved"))])
        .await
        .ok();
    world
        .cmdop(&["fs", "chmod", "0600", &at("moved")])
        .await
        .ok();
    world.cmdop(&["fs", "ln", "moved", &at("link")]).await.ok();
    assert_eq!(
        std::fs::read_to_string(top.join("link")).unwrap(),
        "content\n"
    );
    world
        .cmdop(&["fs", "cp", "-r", &at("a"), text(&top.join("a2"))])
        .await
        .ok();
    assert_eq!(
        std::fs::read_to_string(top.join("a2/b/file")).unwrap(),
        "content\n"
    );
    let into_itself = world
        .cmdop(&["fs", "cp", "-r", &at("a"), text(&top.join("a/b/c"))])
        .await;
    into_itself.refused(2, &["into itself"]);
    world
        .cmdop(&["fs", "rm", &at("a")])
        .await
        .refused(2, &["not empty"]);
    world
        .cmdop(&["fs", "rm", "-r", &at("a"), &at("a2")])
        .await
        .ok();
    assert!(!top.join("a").exists());
    world
        .cmdop(&["fs", "rm", &at("a")])
        .await
        .refused(69, &["no such file"]);
    world.cmdop(&["fs", "rm", "-f", &at("a")]).await.ok();
    let used = json(&world.cmdop(&["fs", "du", "--json", &at("")]).await.ok());
    assert_eq!(
        (&used[0]["bytes"], &used[0]["directories"]),
        (&13.into(), &1.into())
    );
}

#[tokio::test]
async fn find_knows_names_contents_and_what_git_ignores() {
    let world = World::start().await;
    let top = world.directory().join("top");
    std::fs::create_dir_all(top.join("src/target")).unwrap();
    for (name, content) in [
        (".gitignore", "target/\n*.log\n!keep.log\n"),
        ("src/main.rs", "fn main() {}\n// the end\n"),
        ("src/notes.log", "fn main\n"),
        ("keep.log", "nothing\n"),
        ("src/target/built.rs", "fn main() {}\n"),
        ("binary", "fn main\0\n"),
    ] {
        std::fs::write(top.join(name), content).unwrap();
    }
    let at = on("web-1", &top);
    let find = |args: &'static [&'static str]| {
        let (world, at) = (&world, at.clone());
        async move {
            let args = [&["fs", "find", at.as_str()][..], args].concat();
            let mut lines: Vec<_> = world
                .cmdop(&args)
                .await
                .ok()
                .lines()
                .map(str::to_owned)
                .collect();
            lines.sort();
            lines
        }
    };
    assert_eq!(
        find(&["--name", "*.rs"]).await,
        ["src/main.rs", "src/target/built.rs"]
    );
    assert_eq!(
        find(&["--name", "*.rs", "--gitignore"]).await,
        ["src/main.rs"]
    );
    assert_eq!(find(&["--regex", "^src/n", "-i"]).await, ["src/notes.log"]);
    assert_eq!(
        find(&["--name", "*.log", "--gitignore"]).await,
        ["keep.log"]
    );
    assert_eq!(
        find(&["--content", "FN MAIN", "-i", "--gitignore"]).await,
        ["src/main.rs:1:fn main() {}"]
    );
    assert_eq!(find(&["--max", "2"]).await.len(), 2);
    let bad = world.cmdop(&["fs", "find", &at, "--content", "("]).await;
    bad.refused(2, &["not a regular expression"]);
}

#[tokio::test]
async fn watch_tells_what_happens_also_in_new_directories() {
    let world = World::start().await;
    let top = world.directory().join("top");
    std::fs::create_dir_all(top.join("inner")).unwrap();
    let mut child = world
        .owner
        .cli
        .start(&["fs", "watch", "-r", &on("web-1", &top)]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let begun = wait::within("the watch begins", stderr.next_line())
        .await
        .unwrap();
    assert!(begun.unwrap().contains("watching"));
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async |what: &str| loop {
        let line = wait::within(what, stdout.next_line())
            .await
            .unwrap()
            .unwrap();
        if line == what {
            break;
        }
    };
    std::fs::write(top.join("inner/file"), "x").unwrap();
    next("created\tinner/file").await;
    std::fs::remove_file(top.join("inner/file")).unwrap();
    next("removed\tinner/file").await;
    std::fs::create_dir(top.join("new")).unwrap();
    next("created\tnew").await;
    // It was watched before it was told.
    std::fs::write(top.join("new/file"), "x").unwrap();
    next("created\tnew/file").await;
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_machine_that_is_away_and_a_path_without_a_machine_are_named() {
    let mut world = World::start().await;
    world
        .cmdop(&["fs", "ls", "/etc"])
        .await
        .refused(2, &["names no machine", "MACHINE:PATH"]);
    world.machine("web-1").stop().await;
    world.machine_is("web-1", "offline").await;
    let away = world.cmdop(&["fs", "ls", "web-1:/"]).await;
    away.refused(69, &["web-1"]);
}
