//! A backup of a control plane that is at work, and what comes back from it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cmdop_control::args::Place;
use cmdop_control::backup::{self, Error};
use cmdop_proto::audit::Chain;
use cmdop_proto::token::Role;
use cmdop_proto::v1::audit_service_client::AuditServiceClient;
use cmdop_proto::v1::{ListAuditRequest, ListAuditResponse};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::world::{Key, World, bearer, text};

const HOUR: Duration = Duration::from_secs(3600);

/// An empty place, and how it is named to the programs.
struct Empty {
    data: TempDir,
    database: Database,
}

impl Empty {
    fn new() -> Self {
        Self {
            data: tempfile::tempdir().unwrap(),
            database: Database::new(),
        }
    }

    fn place(&self) -> Place {
        Place {
            data_dir: Some(self.data.path().join("control")),
            database: self.database.url(),
        }
    }
}

/// People who log in, one after the other, until told to stop; how many did.
async fn logins(world: &World, stop: &CancellationToken) -> usize {
    let mut count = 0;
    while !stop.is_cancelled() {
        let granted = world.owner().await;
        let again = world.refresh(&granted["refresh_token"]).await.unwrap();
        world.who_am_i(&again["access_token"]).await.unwrap();
        count += 1;
    }
    count
}

async fn jwks(world: &World) -> Value {
    let answer = world.get("/.well-known/jwks.json").await;
    answer.json().await.unwrap()
}

/// Walks the whole chain, as `cmdop audit verify` does; how many records it has.
async fn chain_holds(world: &World, by: &Value) -> u64 {
    let mut audit = AuditServiceClient::new(world.channel().await);
    let mut chain: Option<Chain> = None;
    loop {
        let request = ListAuditRequest {
            after_seq: chain.as_ref().map_or(0, Chain::seq),
            ..ListAuditRequest::default()
        };
        let page = audit.list(bearer(request, &by["access_token"])).await;
        let page: ListAuditResponse = page.unwrap().into_inner();
        let walked = chain.get_or_insert_with(|| Chain::new(page.workspace_id.as_str()));
        page.records
            .iter()
            .for_each(|record| walked.take(record).unwrap());
        if !page.has_more {
            walked.ends_at(page.head_seq, &page.head_hash).unwrap();
            return page.head_seq;
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backup_under_load_restores_lets_in_the_same_people_machines_and_programs() {
    let world = World::start().await;
    let owner = world.owner().await;
    let ada = world.person("ada", "default", Role::Member).await;
    let unused = world.admin().await.login_secret("ada", HOUR).await.unwrap();
    let key = Key::new();
    let machine = world.machine("web-1", &key).await;
    let program = world.key(&owner, &["machines:read"], HOUR).await;
    let (keys, ca) = (jwks(&world).await, world.running.ca_fingerprint.clone());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("control.tar");
    let stop = CancellationToken::new();
    let backups = async {
        for _ in 0..3 {
            let made = backup::back_up(&world.place(), &file).await.unwrap();
            assert!(made.files >= 4 && made.left_out.is_empty(), "{made:?}");
        }
        stop.cancel();
    };
    let (count, ()) = tokio::join!(logins(&world, &stop), backups);
    assert!(count > 0, "nobody logged in meanwhile");
    // Whole, private, and alone.
    assert_eq!(names(folder.path()), ["control.tar"]);
    assert_eq!(mode(&file), 0o600);
    chain_holds(&world, &owner).await;
    world.stop().await;

    let empty = Empty::new();
    backup::restore(&empty.place(), &file).await.unwrap();
    let world = World::start_on(empty.data, empty.database).await;
    assert_eq!(jwks(&world).await, keys);
    assert_eq!(world.running.ca_fingerprint, ca);
    let owner = world.refresh(&owner["refresh_token"]).await.unwrap();
    assert!(chain_holds(&world, &owner).await > 8);
    let ada = world.refresh(&ada["refresh_token"]).await.unwrap();
    let me = world.who_am_i(&ada["access_token"]).await.unwrap();
    assert_eq!(me.role, "member");
    world.local_secret(unused.expose()).await.unwrap();
    world.assert(&key, &machine, 0).await.unwrap();
    let exchanged = world.exchange(&program.secret, None).await.unwrap();
    assert!(!text(&exchanged["access_token"]).is_empty());
    world.stop().await;
}

#[tokio::test]
async fn a_restore_replaces_nothing_and_disturbs_no_server() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("control.tar");
    backup::back_up(&world.place(), &file).await.unwrap();
    let into = async |place: &Place| backup::restore(place, &file).await.unwrap_err();
    let running = into(&world.place()).await;
    assert!(matches!(running, Error::DataDir(_)), "{running}");
    let place = world.place();
    let owner = world.owner().await;
    // Its own directory is no place for a backup either.
    let own: PathBuf = place.data_dir.clone().unwrap().join("control.tar");
    let inside = backup::back_up(&place, &own).await.unwrap_err();
    assert!(matches!(inside, Error::Inside { .. }), "{inside}");
    world.who_am_i(&owner["access_token"]).await.unwrap();
    // A directory of somebody else's.
    let empty = Empty::new();
    let theirs = empty.place().data_dir.unwrap();
    std::fs::create_dir(&theirs).unwrap();
    std::fs::write(theirs.join("notes"), "mine").unwrap();
    let full = into(&empty.place()).await;
    assert!(matches!(full, Error::NotEmpty { .. }), "{full}");
    assert!(names(&theirs).iter().any(|name| name == "notes"));
    world.stop().await;
}

#[tokio::test]
async fn the_ca_of_a_former_version_is_kept_by_a_start_and_by_a_restore_of_an_old_backup() {
    let world = World::start().await;
    let made = world.running.ca_fingerprint.clone();
    let admin = world.admin().await;
    assert!(admin.remove_ca("another").await.is_err());
    admin.remove_ca(&made).await.unwrap();
    admin.close().await;
    let (place, clock) = (world.place(), world.clock.clone());
    let (data, database) = world.stopped().await;
    // As a former version left it: two files, and nothing of them in the database.
    let dir = place.data_dir.clone().unwrap();
    assert!(!dir.join("ca.pem").exists());
    let (pem, key) = forged_ca();
    for (name, content) in [("ca.pem", &pem), ("ca.key", &key)] {
        cmdop_service::private_file::write(&dir.join(name), content.as_bytes()).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("control.tar");
    backup::back_up(&place, &file).await.unwrap();
    let empty = Empty::new();
    backup::restore(&empty.place(), &file).await.unwrap();
    for (data, database) in [(data, database), (empty.data, empty.database)] {
        let world = World::start_with(data, database, clock.clone(), |_| {}).await;
        assert_eq!(world.running.ca_pem, pem);
        let dir = world.place().data_dir.unwrap();
        assert!(!dir.join("ca.key").exists() && dir.join("ca.pem").exists());
        let machine = Key::new();
        let id = world.machine("web-1", &machine).await;
        world.assert(&machine, &id, 0).await.unwrap();
        world.stop().await;
    }
}

/// A CA's certificate and key, PEM.
fn forged_ca() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}
