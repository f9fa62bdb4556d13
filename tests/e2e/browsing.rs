//! Files in the full-screen client: two sides, each here or on a machine, on a real terminal.

use std::path::{Path, PathBuf};

use cmdop_tests::World;
use cmdop_tests::person::Person;
use cmdop_tests::pty::Shape;

use crate::files::{noise, text};

/// tmux's prefix.
const PREFIX: &str = "\x02";

/// A world with a directory for this computer and one for each of its two machines.
struct Places {
    world: World,
    here: PathBuf,
    one: PathBuf,
    two: PathBuf,
}

async fn places() -> Places {
    let world = World::with().machines(&["web-1", "web-2"]).start().await;
    let place = |name: &str| {
        let path = world.directory().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    Places {
        here: place("on-here"),
        one: place("on-one"),
        two: place("on-two"),
        world,
    }
}

/// Somebody with the files of here and of web-1 before them; the machine's side has the keys.
async fn at_the_files(world: &World) -> Person {
    let shape = Shape {
        rows: 40,
        cols: 140,
        ..Shape::default()
    };
    let person = world.owner.at_a_terminal_of(shape, &[]);
    person.sees("machines · 2").await;
    person.type_keys("b");
    person.sees("FILES").await;
    person.sees("web-1:/").await;
    person
}

/// Turns the side with the keys to a directory.
async fn goes_to(person: &Person, path: &Path) {
    person.type_keys(":");
    person.sees("go to:").await;
    person.enter(text(path));
    let name = path.file_name().unwrap().to_str().unwrap();
    person
        .pty
        .wait_until(&format!("a side shows {name}"), 1, |pty| {
            let screen = pty.screen();
            let title = screen.lines().next().unwrap_or_default();
            title.contains(name) && !screen.contains("loading") && !screen.contains("go to:")
        })
        .await;
}

/// Waits until a side lists a file.
async fn sees_file(person: &Person, name: &str) {
    let lists = |line: &str| line.contains(name) && line.contains("-rw-");
    person
        .pty
        .wait_until(&format!("a side lists {name}"), 1, |pty| {
            pty.screen().lines().any(lists)
        })
        .await;
}

#[tokio::test]
async fn files_are_looked_at_copied_between_machines_and_deleted() {
    let places = places().await;
    let content = "remember the milk\n";
    std::fs::write(places.here.join("notes.txt"), content).unwrap();
    let person = at_the_files(&places.world).await;
    goes_to(&person, &places.one).await;
    person.type_keys("\t");
    goes_to(&person, &places.here).await;
    person.sees("notes.txt").await;
    person.type_keys("i");
    person.sees("remember the milk").await;
    person.type_keys("i");
    // From here to a machine.
    person.type_keys("c");
    person.sees("copied notes.txt to web-1:").await;
    let copy = places.one.join("notes.txt");
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), content);
    // And on to another machine.
    person.type_keys("M");
    person.sees("files of").await;
    person.enter("web-2");
    person.sees("web-2:/").await;
    goes_to(&person, &places.two).await;
    sees_file(&person, "notes.txt").await;
    person.type_keys("\tc");
    person.sees("copied notes.txt to web-2:").await;
    let far = places.two.join("notes.txt");
    assert_eq!(std::fs::read_to_string(&far).unwrap(), content);
    // A no leaves it, a yes does not.
    person.type_keys("d");
    person.sees("y/n: delete notes.txt in web-1:").await;
    person.type_keys("nd");
    assert!(copy.exists());
    person.type_keys("y");
    person.sees("deleted notes.txt").await;
    assert!(!copy.exists() && far.exists());
}

#[tokio::test]
async fn what_is_skipped_stays_and_the_rest_of_a_move_goes() {
    let places = places().await;
    for (name, content) in [("first", "1"), ("second", "2")] {
        std::fs::write(places.here.join(name), content).unwrap();
    }
    std::fs::write(places.one.join("second"), "theirs").unwrap();
    let person = at_the_files(&places.world).await;
    goes_to(&person, &places.one).await;
    sees_file(&person, "second").await;
    person.type_keys("\t");
    goes_to(&person, &places.here).await;
    sees_file(&person, "first").await;
    person.type_keys("am");
    person.sees("skip").await;
    person.type_keys("s");
    person.sees("left as they were").await;
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(places.one.join("first")), "1");
    assert_eq!(read(places.one.join("second")), "theirs");
    assert_eq!(read(places.here.join("second")), "2");
    assert!(!places.here.join("first").exists());
    sees_file(&person, "second").await;
}

#[tokio::test]
async fn a_transfer_is_paused_goes_on_and_is_verified() {
    let places = places().await;
    let limit = "transfer-limit = 1_500_000\n";
    let configuration = places.world.owner.client_directory().join("tui.toml");
    std::fs::write(configuration, limit).unwrap();
    let content = noise(4 << 20);
    std::fs::write(places.here.join("large"), &content).unwrap();
    let person = at_the_files(&places.world).await;
    goes_to(&person, &places.one).await;
    person.type_keys("\t");
    goes_to(&person, &places.here).await;
    person.sees("large").await;
    person.type_keys("ct");
    person.sees("running").await;
    person.type_keys("p");
    person.sees("paused").await;
    // Leaving would end it: that is asked, on every page.
    person.type_keys(&format!("{PREFIX}D"));
    person.sees("FLEET").await;
    person.type_keys("q");
    person.sees("This would end with it").await;
    person.type_keys("nb");
    person.sees("transfers, 1 not over").await;
    let there = places.one.join("large");
    assert!(!there.exists(), "half a file has no name");
    person.type_keys("p");
    person.sees("copied large to web-1:").await;
    assert_eq!(std::fs::read(&there).unwrap(), content);
    person.type_keys("v");
    person.sees("verified large").await;
    // What differs is found.
    let mut other = content;
    other[3 << 20] ^= 1;
    std::fs::write(&there, &other).unwrap();
    person.type_keys("v");
    person.sees("differs from its copy").await;
}

#[tokio::test]
async fn a_tree_is_moved_and_what_is_in_the_way_is_asked_about() {
    let places = places().await;
    let tree = places.here.join("tree");
    std::fs::create_dir_all(tree.join("deep/er")).unwrap();
    std::fs::write(tree.join("deep/er/leaf"), noise(300 << 10)).unwrap();
    std::fs::write(tree.join("small"), "small\n").unwrap();
    std::os::unix::fs::symlink("small", tree.join("link")).unwrap();
    std::fs::write(places.here.join("zebra"), "new\n").unwrap();
    std::fs::write(places.one.join("zebra"), "old\n").unwrap();
    let person = at_the_files(&places.world).await;
    goes_to(&person, &places.one).await;
    person.type_keys("\t");
    goes_to(&person, &places.here).await;
    person.sees("tree/").await;
    person.type_keys("m");
    person.sees("moved tree to web-1:").await;
    assert!(!tree.exists());
    // What is left is looked at, and selected.
    person.sees("1 item ").await;
    let moved = places.one.join("tree");
    assert_eq!(
        std::fs::read(moved.join("deep/er/leaf")).unwrap(),
        noise(300 << 10)
    );
    assert!(moved.join("link").is_symlink());
    // What is there stays unless its user says otherwise.
    person.type_keys("c");
    person.sees("zebra is there already").await;
    person.type_keys("k");
    person.sees("copied zebra").await;
    let read = |name: &str| std::fs::read_to_string(places.one.join(name)).unwrap();
    assert_eq!(
        (read("zebra"), read("zebra 2")),
        ("old\n".into(), "new\n".into())
    );
    person.type_keys("c");
    person.sees("zebra is there already").await;
    person.type_keys("o");
    person
        .pty
        .wait_until("it is replaced", 1, |_| read("zebra") == "new\n")
        .await;
}

#[tokio::test]
async fn directories_are_made_searched_bookmarked_and_worked_in() {
    let places = places().await;
    std::fs::write(places.one.join("main.rs"), "fn main() { todo!() }\n").unwrap();
    let person = at_the_files(&places.world).await;
    goes_to(&person, &places.one).await;
    person.type_keys("n");
    person.sees("new directory:").await;
    person.enter("made/deep");
    person.sees("made/").await;
    assert!(places.one.join("made/deep").is_dir());
    person.type_keys("Gr");
    person.sees("rename to: main.rs").await;
    person.enter("\x15other.rs");
    person.sees("other.rs").await;
    person.type_keys("F");
    person.sees("find text:").await;
    person.enter("todo!");
    person.sees("other.rs:1: fn main()").await;
    person.type_keys("\r");
    person.sees("2 items").await;
    person.type_keys("B");
    person.sees("is a bookmark now").await;
    person.type_keys("!");
    person.sees("PANE").await;
    person.enter("PS1='ready> '; clear; basename $PWD; ls");
    person.sees("on-one").await;
    person.sees("other.rs").await;
    person.type_keys(&format!("{PREFIX}d"));
    assert_eq!(person.pty.exit().await, 0);
    // The bookmark is there at the next start.
    let shape = Shape {
        rows: 40,
        cols: 140,
        ..Shape::default()
    };
    let again = places.world.owner.at_a_terminal_of(shape, &[]);
    again.sees("other.rs").await;
    again.type_keys(&format!("{PREFIX}b"));
    again.sees("FILES").await;
    again.type_keys("b");
    again.sees("bookmark").await;
    again.type_keys("\r");
    again.sees("other.rs").await;
}

#[tokio::test]
async fn what_others_change_is_shown_and_no_name_steers_the_terminal() {
    use std::os::unix::ffi::OsStrExt as _;
    let places = places().await;
    let person = at_the_files(&places.world).await;
    goes_to(&person, &places.one).await;
    person.sees("empty").await;
    let hostile = std::ffi::OsStr::from_bytes(b"\x1b]0;owned\x07\x1b[2Jevil\xff");
    std::fs::write(places.one.join(hostile), "").unwrap();
    person.sees("evil").await;
    person.sees("?]0;owned??[2Jevil").await;
    person.type_keys("dy");
    person.sees("deleted ?]0;owned").await;
    person.sees("empty").await;
}
