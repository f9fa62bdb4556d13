//! The certificate authority of two control planes: one, in the database.

use cmdop_client::dial::{self, Lane, Trust};
use cmdop_control::admin::Admin;
use cmdop_control::args::Place;
use cmdop_proto::v1::EnrollMachineRequest;
use cmdop_proto::v1::enroll_service_client::EnrollServiceClient;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use crate::beside::{Beside, secrets_key};
use crate::world::{Key, World};

#[tokio::test]
async fn two_that_share_only_the_key_for_secrets_trust_the_same_machines() {
    let world = World::start().await;
    let other = Beside::start(&world).await;
    assert_eq!(other.running.ca_fingerprint, world.running.ca_fingerprint);
    let copy = std::fs::read_to_string(other.data.join("ca.pem")).unwrap();
    assert_eq!(copy, world.running.ca_pem);
    for name in ["ca.key", "secrets.key"] {
        assert!(!other.data.join(name).exists(), "{name}");
    }
    // A token of the other's administrator, used at the first; the machine then comes to both.
    let place = Place {
        data_dir: Some(other.data.clone()),
        database: world.database.url(),
    };
    let admin = Admin::open_at(&place, world.clock.clone()).await.unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let token = admin.enroll_token("default", hour, []).await.unwrap();
    let key = Key::new();
    let joined = world.enroll(token.expose(), "web-1", &key).await.unwrap();
    assert_eq!(joined.ca_pem, other.running.ca_pem);
    world.assert(&key, &joined.machine_id, 0).await.unwrap();
    // What pins the first one's CA is served by the other.
    let trust = Trust::Ca(joined.ca_pem);
    let channel = dial::dial(&other.running.url, &trust, Lane::Interactive);
    let again = EnrollMachineRequest {
        token: token.expose().to_owned(),
        hostname: "web-2".into(),
        public_key_pem: Key::new().public_pem(),
        ..EnrollMachineRequest::default()
    };
    let used = EnrollServiceClient::new(channel.await.unwrap())
        .enroll_machine(again)
        .await;
    assert!(used.is_err(), "a token is good once, at both together");
    let assertion = world.assertion(&key, &joined.machine_id, 0, &other.running.url);
    let form = [
        ("grant_type", "client_credentials"),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", &assertion),
    ];
    let endpoint = format!("{}/oauth/token", other.running.url);
    let answer = world.http.post(endpoint).form(&form).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    other.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn one_with_another_key_for_secrets_does_not_start_and_makes_none() {
    let world = World::start().await;
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let refused = Beside::try_start(&world, Some(other.into()), |_| {}).await;
    let said = refused.err().unwrap().to_string();
    let remedies = [&world.running.ca_fingerprint[..], "secrets.key", "backup"];
    assert!(remedies.iter().all(|word| said.contains(word)), "{said}");
    // Without any, none is made: it would open nothing.
    let refused = Beside::try_start(&world, None, |_| {}).await;
    let said = refused.err().unwrap().to_string();
    let remedies = ["secrets.key", "another control plane", "backup"];
    assert!(remedies.iter().all(|word| said.contains(word)), "{said}");
    let file = world.data.path().join("beside/secrets.key");
    assert!(!file.exists());
    // The file of the other is enough, too.
    let key = secrets_key(&world);
    let beside = Beside::try_start(&world, None, |data| {
        cmdop_service::private_file::write(&data.join("secrets.key"), key.as_bytes()).unwrap();
    });
    beside.await.unwrap().stop().await;
    world.stop().await;
}

#[tokio::test]
async fn one_whose_files_are_of_another_ca_does_not_start() {
    let world = World::start().await;
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let pem = params.self_signed(&pair).unwrap().pem();
    let refused = Beside::try_start(&world, Some(secrets_key(&world)), |data| {
        std::fs::write(data.join("ca.pem"), &pem).unwrap();
        let key = pair.serialize_pem();
        cmdop_service::private_file::write(&data.join("ca.key"), key.as_bytes()).unwrap();
    });
    let said = refused.await.err().unwrap().to_string();
    let remedies = ["ca.pem", &world.running.ca_fingerprint, "--data-dir"];
    assert!(remedies.iter().all(|word| said.contains(word)), "{said}");
    assert!(world.data.path().join("beside/ca.key").exists());
    world.stop().await;
}
