//! Nothing leads out.

use std::os::unix::fs::symlink;

use super::*;

struct Ground {
    directory: tempfile::TempDir,
    roots: Roots,
}

fn ground() -> Ground {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path();
    std::fs::create_dir_all(base.join("in/deep")).unwrap();
    std::fs::create_dir(base.join("out")).unwrap();
    std::fs::write(base.join("in/file"), "in").unwrap();
    std::fs::write(base.join("out/secret"), "out").unwrap();
    symlink("../out", base.join("in/up")).unwrap();
    symlink(base.join("out/secret"), base.join("in/absolute")).unwrap();
    symlink("deep", base.join("in/inner")).unwrap();
    let roots = Roots::open(base, &Scope::Beneath(vec![base.join("in")]));
    Ground { directory, roots }
}

fn reason(refused: Result<impl Sized, Refusal>) -> String {
    refused.err().expect("it is refused").reason
}

#[test]
fn what_leads_out_is_refused_however_it_is_written() {
    let ground = ground();
    let out = ground.directory.path().join("out/secret");
    let out = out.as_os_str().as_bytes();
    for path in [
        out,
        b"../out/secret",
        b"deep/../../out/secret",
        b"up/secret",
        b"absolute",
        b"inner/../../out/secret",
        b"/etc/passwd",
        b"/proc/self/root/etc/passwd",
    ] {
        assert_eq!(
            reason(ground.roots.open_regular(path)),
            "path-outside",
            "{path:?}"
        );
    }
    assert_eq!(reason(ground.roots.parent(b"up/new")), "path-outside");
    assert_eq!(reason(ground.roots.parent(b"../new")), "path-outside");
}

#[test]
fn what_stays_inside_is_opened_also_through_links() {
    let ground = ground();
    ground.roots.open_regular(b"file").unwrap();
    ground.roots.open_regular(b"inner/../file").unwrap();
    let absolute = ground.directory.path().join("in/file");
    ground
        .roots
        .open_regular(absolute.as_os_str().as_bytes())
        .unwrap();
    assert_eq!(ground.roots.parent(b"inner/new").unwrap().1, "new");
}

#[test]
fn a_root_itself_is_not_changed_and_no_roots_are_nothing() {
    let ground = ground();
    let root = ground.directory.path().join("in");
    assert_eq!(
        reason(ground.roots.parent(root.as_os_str().as_bytes())),
        "path-outside"
    );
    let none = Roots::open(ground.directory.path(), &Scope::Beneath(Vec::new()));
    assert_eq!(reason(none.open_directory(b"")), "path-outside");
    assert_eq!(reason(none.open_directory(b"/")), "path-outside");
}

#[test]
fn devices_and_pipes_are_never_opened() {
    let directory = tempfile::tempdir().unwrap();
    let whole = Roots::open(directory.path(), &Scope::Whole);
    for path in [&b"/dev/null"[..], b"/dev/zero", b"."] {
        assert_eq!(reason(whole.open_regular(path)), "file-not-regular");
    }
    rustix::fs::mknodat(
        CWD,
        directory.path().join("pipe"),
        FileType::Fifo,
        Mode::RWXU,
        0,
    )
    .unwrap();
    assert_eq!(reason(whole.open_regular(b"pipe")), "file-not-regular");
}

#[test]
fn names_that_no_system_has_are_refused() {
    let whole = Roots::open(Path::new("/"), &Scope::Whole);
    assert_eq!(reason(whole.open_directory(&[b'a'; 5000])), "bad-path");
    assert_eq!(reason(whole.open_directory(b"a\0b")), "bad-path");
    assert_eq!(reason(whole.parent(b"/")), "bad-path");
    assert_eq!(reason(whole.parent(b"a/..")), "bad-path");
}
