//! What a backup holds, and what becomes of one that does not hold it any more.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::Config;
use crate::store::{Part, Schema, Stream};
use tempfile::TempDir;

/// A control plane's data directory without a server, and a place for backups.
struct Ground {
    data: TempDir,
    folder: TempDir,
}

impl Ground {
    async fn new() -> Self {
        let ground = Self {
            data: tempfile::tempdir().unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        let database = crate::config::database(ground.data.path(), None);
        let store = store::open(&database, Schema::Migrate).await.unwrap();
        store.add_workspace("default", 1).await.unwrap();
        store.close().await;
        ground.put("signing.key", b"one key");
        ground.put("ca.key", b"another");
        ground.put("a-later-versions.key", b"a third");
        ground
    }

    fn put(&self, name: &str, content: &[u8]) {
        let path = self.data.path().join(name);
        cmdop_service::private_file::write(&path, content).unwrap();
    }

    fn place(&self) -> Place {
        Place {
            data_dir: Some(self.data.path().to_owned()),
            database: None,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("b.tar")
    }

    async fn back_up(&self) -> Summary {
        back_up(&self.place(), &self.file()).await.unwrap()
    }

    /// Into a directory that is not there yet.
    async fn restore(&self) -> Result<PathBuf, Error> {
        let data = self.folder.path().join("restored");
        let place = Place {
            data_dir: Some(data.clone()),
            database: None,
        };
        restore(&place, &self.file()).await.map(|_| data)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(self.file()).unwrap();
        change(&mut bytes);
        std::fs::write(self.file(), bytes).unwrap();
    }
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let found = bytes.windows(old.len()).position(|window| window == old);
    let at = found.expect("it is in the archive");
    bytes[at..at + new.len()].copy_from_slice(new);
}

/// Nothing of a restore that failed stays, but the directory and its lock.
fn is_bare(data: &Path) -> bool {
    let names = data
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names.filter(|name| name != "cmdop-control.lock").count() == 0
}

#[tokio::test]
async fn every_key_is_in_it_and_comes_back_private() {
    let ground = Ground::new().await;
    ground.put("half.1.new", b"being written");
    std::fs::create_dir(ground.data.path().join("folder")).unwrap();
    let made = ground.back_up().await;
    assert_eq!(
        (made.files, &made.left_out[..]),
        (4, &["folder".to_owned()][..])
    );
    let data = ground.restore().await.unwrap();
    for (name, content) in [
        ("signing.key", &b"one key"[..]),
        ("ca.key", b"another"),
        ("a-later-versions.key", b"a third"),
    ] {
        assert_eq!(std::fs::read(data.join(name)).unwrap(), content);
        let mode = data.join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(!data.join("half.1.new").exists() && !data.join(RESTORING).exists());
    let database = crate::config::database(&data, None);
    let store = store::open(&database, Schema::Expect).await.unwrap();
    assert_eq!(store.workspaces().await.unwrap().len(), 1);
    // The log can still only be added to.
    store.close().await;
    assert!(matches!(
        ground.restore().await,
        Err(Error::NotEmpty { .. })
    ));
}

#[tokio::test]
async fn who_followed_events_before_a_restore_is_told_that_their_numbers_are_others() {
    async fn epoch(data: &Path) -> String {
        let database = crate::config::database(data, None);
        let store = store::open(&database, Schema::Expect).await.unwrap();
        after_restore(&store, data).await.unwrap();
        let workspace = store.workspace(store.workspaces().await.unwrap()[0].id);
        let (stream, newest) = (Stream::Workspace, Part::After(0));
        let (position, _) = workspace.events(stream, newest, 1).await.unwrap();
        store.close().await;
        position.epoch
    }
    let ground = Ground::new().await;
    let before = epoch(ground.data.path()).await;
    ground.back_up().await;
    let data = ground.restore().await.unwrap();
    assert_ne!(epoch(&data).await, before);
    assert_eq!(epoch(ground.data.path()).await, before);
}

#[tokio::test]
async fn any_tar_lists_it() {
    let ground = Ground::new().await;
    ground.back_up().await;
    let mut tar = std::process::Command::new("tar");
    let output = tar.arg("-tf").arg(ground.file()).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = listed.lines().collect();
    assert_eq!(
        names,
        [
            "manifest.json",
            "a-later-versions.key",
            "ca.key",
            "signing.key",
            "control.db"
        ]
    );
}

#[tokio::test]
async fn a_byte_that_changed_is_found_and_leaves_nothing_behind() {
    for (old, new) in [
        (&b"one key"[..], &b"0ne key"[..]),
        (b"SQLite format 3", b"SQLite format 4"),
        (b"signing.key\0", b"signing.kez\0"),
        (b"ca.key\0", b"../x.k\0"),
    ] {
        let ground = Ground::new().await;
        ground.back_up().await;
        ground.change(|bytes| replace(bytes, old, new));
        let error = ground.restore().await.unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert!(is_bare(&ground.folder.path().join("restored")));
    }
}

#[tokio::test]
async fn an_end_that_is_missing_is_missed() {
    let ground = Ground::new().await;
    ground.back_up().await;
    ground.change(|bytes| bytes.truncate(bytes.len() - 8192));
    let error = ground.restore().await.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn what_is_no_backup_or_of_another_time_is_named() {
    let ground = Ground::new().await;
    std::fs::write(ground.file(), b"nonsense").unwrap();
    let error = ground.restore().await.unwrap_err();
    assert!(matches!(error, Error::NotABackup { .. }), "{error}");

    ground.back_up().await;
    ground.change(|bytes| replace(bytes, b"\"format\": 1", b"\"format\": 2"));
    let error = ground.restore().await.unwrap_err();
    assert!(matches!(error, Error::Newer { .. }), "{error}");

    let tables = ground.back_up().await.tables;
    let old = format!("\"tables\": {tables}");
    let new = format!("\"tables\": {}", "9".repeat(tables.to_string().len()));
    ground.change(|bytes| replace(bytes, old.as_bytes(), new.as_bytes()));
    let error = ground.restore().await.unwrap_err();
    let newer = matches!(error, Error::Database(store::OpenError::Newer { .. }));
    assert!(newer, "{error}");
}

#[tokio::test]
async fn a_manifest_that_names_a_place_is_refused() {
    let ground = Ground::new().await;
    ground.back_up().await;
    ground.change(|bytes| replace(bytes, b"\"ca.key\"", b"\"../key\""));
    let error = ground.restore().await.unwrap_err();
    assert!(matches!(error, Error::NotABackup { .. }), "{error}");
}

#[tokio::test]
async fn a_server_does_not_start_on_half_a_restore() {
    let ground = Ground::new().await;
    std::fs::create_dir(ground.data.path().join(RESTORING)).unwrap();
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        ..Config::new(ground.data.path())
    };
    let stop = tokio_util::sync::CancellationToken::new();
    let refused = crate::serve(config, stop).await.unwrap_err();
    assert!(refused.to_string().contains("not finished"), "{refused}");
    let again = restore(&ground.place(), &ground.file()).await.unwrap_err();
    assert!(again.to_string().contains("No such file"), "{again}");
}

#[tokio::test]
async fn the_facts_of_a_file_do_not_go_into_a_server() {
    let ground = Ground::new().await;
    ground.back_up().await;
    let place = Place {
        data_dir: Some(ground.folder.path().join("restored")),
        database: Some("postgres://nobody@127.0.0.1:1/x".into()),
    };
    let error = restore(&place, &ground.file()).await.unwrap_err();
    assert!(error.to_string().contains("--database"), "{error}");
}
