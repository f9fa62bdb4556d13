//! The CA made once, taken over, compared, and lost.

use super::*;
use crate::ca::files::{CERTIFICATE_FILE, FORMER_KEY_FILE, remove_copy};
use crate::store::{Database, Schema, open};

const NOW: u64 = 1_800_000_000_000;

/// A database and the keys for its secrets, and the data directories of control planes on it.
struct Ground {
    home: tempfile::TempDir,
    store: Store,
    sealer: Sealer,
}

impl Ground {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let database = Database::File(home.path().join("control.db"));
        Self {
            store: open(&database, Schema::Migrate).await.unwrap(),
            sealer: Sealer::load_or_make(home.path(), None).unwrap(),
            home,
        }
    }

    fn dir(&self, name: &str) -> PathBuf {
        let dir = self.home.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    async fn start(&self, name: &str) -> Result<Ca, Error> {
        Ca::load_or_make(&self.store, &self.sealer, &self.dir(name), NOW).await
    }

    /// The files of a former version.
    fn former(&self, name: &str, certificate: &str, key: &str) {
        let dir = self.dir(name);
        private_file::write(&dir.join(CERTIFICATE_FILE), certificate.as_bytes()).unwrap();
        private_file::write(&dir.join(FORMER_KEY_FILE), key.as_bytes()).unwrap();
    }

    fn has_key(&self, name: &str) -> bool {
        self.dir(name).join(FORMER_KEY_FILE).exists()
    }
}

#[tokio::test]
async fn all_control_planes_on_a_database_have_the_ca_that_the_first_one_made() {
    let ground = Ground::new().await;
    let (one, two) = tokio::join!(ground.start("one"), ground.start("two"));
    let again = ground.start("one").await.unwrap();
    assert_eq!(one.unwrap().pem(), again.pem());
    assert_eq!(two.unwrap().pem(), again.pem());
    for name in ["one", "two"] {
        let copy = std::fs::read_to_string(ground.dir(name).join(CERTIFICATE_FILE)).unwrap();
        assert_eq!(copy, again.pem());
        assert!(!ground.has_key(name));
    }
    let kept = ground.store.certificate_authority().await.unwrap().unwrap();
    assert!(!kept.sealed_key.contains("PRIVATE"));
    assert_eq!(kept.fingerprint, again.fingerprint());
}

#[tokio::test]
async fn the_files_of_a_former_version_are_taken_over_by_every_control_plane_that_has_them() {
    let ground = Ground::new().await;
    let (former, key) = Ca::make(NOW).unwrap();
    for name in ["one", "two"] {
        ground.former(name, former.pem(), &key);
    }
    // The second stopped before it had removed its key, or comes later.
    for name in ["one", "two", "three"] {
        let ca = ground.start(name).await.unwrap();
        assert_eq!(ca.pem(), former.pem(), "{name}");
        assert!(!ground.has_key(name), "{name}");
    }
}

#[tokio::test]
async fn files_of_another_ca_than_the_databases_stop_the_start_and_stay() {
    let ground = Ground::new().await;
    let ours = ground.start("one").await.unwrap();
    let (other, key) = Ca::make(NOW).unwrap();
    ground.former("two", other.pem(), &key);
    let error = ground.start("two").await.unwrap_err();
    assert!(matches!(error, Error::Other { .. }), "{error}");
    for word in [&other.fingerprint(), &ours.fingerprint(), "--database"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(ground.has_key("two"));
    // A copy of the certificate alone is compared, too, and a key alone.
    std::fs::remove_file(ground.dir("two").join(FORMER_KEY_FILE)).unwrap();
    let error = ground.start("two").await.unwrap_err();
    assert!(matches!(error, Error::Other { .. }), "{error}");
    ground.former("three", ours.pem(), &key);
    let error = ground.start("three").await.unwrap_err();
    assert!(matches!(error, Error::OtherKey { .. }), "{error}");
    assert!(ground.has_key("three"));
}

#[tokio::test]
async fn no_new_ca_takes_the_place_of_one_that_was_lost() {
    let ground = Ground::new().await;
    let (former, key) = Ca::make(NOW).unwrap();
    ground.former("one", former.pem(), "nonsense");
    let error = ground.start("one").await.unwrap_err();
    assert!(matches!(error, Error::Unusable { .. }), "{error}");
    ground.former("one", former.pem(), &key);
    for missing in [CERTIFICATE_FILE, FORMER_KEY_FILE] {
        let path = ground.dir("one").join(missing);
        let content = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let error = ground.start("one").await.unwrap_err();
        assert!(matches!(error, Error::Half { .. }), "{error}");
        private_file::write(&path, &content).unwrap();
    }
    let kept = ground.store.certificate_authority().await.unwrap();
    assert_eq!(kept, None);
}

#[tokio::test]
async fn a_key_of_a_former_version_that_others_can_read_is_not_taken_over() {
    use std::os::unix::fs::PermissionsExt as _;
    let ground = Ground::new().await;
    let (former, key) = Ca::make(NOW).unwrap();
    ground.former("one", former.pem(), &key);
    let file = ground.dir("one").join(FORMER_KEY_FILE);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = ground.start("one").await.unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}

#[tokio::test]
async fn a_ca_that_another_key_sealed_stops_the_start_with_the_remedy() {
    let mut ground = Ground::new().await;
    let ca = ground.start("one").await.unwrap();
    let other = tempfile::tempdir().unwrap();
    ground.sealer = Sealer::load_or_make(other.path(), None).unwrap();
    let error = ground.start("one").await.unwrap_err();
    assert!(matches!(error, Error::Sealed { .. }), "{error}");
    for word in [&ca.fingerprint(), "secrets.key", "backup", "remove-ca"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    // Without the file nothing is made in its place.
    assert!(ground.store.holds_sealed_keys().await.unwrap());
}

#[tokio::test]
async fn a_ca_that_was_removed_makes_room_for_a_new_one() {
    let ground = Ground::new().await;
    let old = ground.start("one").await.unwrap().fingerprint();
    let removed = ground.store.remove_certificate_authority(&old, NOW).await;
    assert!(removed.unwrap());
    let error = ground.start("one").await.unwrap_err();
    assert!(matches!(error, Error::Half { .. }), "{error}");
    remove_copy(&ground.dir("one"), "another").unwrap();
    assert!(ground.start("one").await.is_err());
    remove_copy(&ground.dir("one"), &old).unwrap();
    assert_ne!(ground.start("one").await.unwrap().fingerprint(), old);
}

#[tokio::test]
async fn a_ca_that_was_removed_does_not_come_back_by_files_that_somebody_still_has() {
    let ground = Ground::new().await;
    let (former, key) = Ca::make(NOW).unwrap();
    for name in ["one", "two"] {
        ground.former(name, former.pem(), &key);
    }
    let old = ground.start("one").await.unwrap().fingerprint();
    let removed = ground.store.remove_certificate_authority(&old, NOW).await;
    assert!(removed.unwrap());
    let error = ground.start("two").await.unwrap_err();
    assert!(matches!(error, Error::Removed { .. }), "{error}");
    for word in [old.as_str(), "remove-ca", "ca.key", "move both away"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(ground.has_key("two"));
    assert_ne!(ground.start("three").await.unwrap().fingerprint(), old);
}
