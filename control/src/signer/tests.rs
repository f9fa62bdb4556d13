//! Keys made, taken over, published, changed and lost.

use cmdop_proto::WorkspaceId;
use cmdop_proto::token::{Bearer, CONTROL_AUDIENCE};

use super::*;
use crate::store::{Database, Schema, open};

const NOW: u64 = 1_800_000_000_000;

struct Scratch {
    dir: tempfile::TempDir,
    store: Store,
    sealer: Sealer,
}

impl Scratch {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::File(dir.path().join("control.db"));
        Self {
            store: open(&database, Schema::Migrate).await.unwrap(),
            sealer: Sealer::load_or_make(dir.path(), None).unwrap(),
            dir,
        }
    }

    async fn signer(&self) -> Result<Signer, Error> {
        Signer::load_or_make(&self.store, &self.sealer, self.dir.path(), NOW).await
    }
}

fn claims() -> Claims {
    let now_s = (NOW / 1000) as i64;
    Claims {
        iss: "https://control".into(),
        sub: "somebody".into(),
        aud: vec![CONTROL_AUDIENCE.into()],
        exp: now_s + 60,
        iat: now_s,
        nbf: now_s,
        jti: "j".into(),
        wid: WorkspaceId::new(),
        bearer: Bearer::Account,
        role: None,
        scope: None,
        reach: cmdop_proto::Reach::All,
        sid: None,
        name: "somebody".into(),
    }
}

fn signed_with(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

#[test]
fn a_key_has_the_name_that_rfc_8037_gives_it() {
    // RFC 8037, appendix A.3.
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    assert_eq!(thumbprint(x), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[tokio::test]
async fn the_key_is_made_once_and_its_private_half_is_nowhere_unsealed() {
    let scratch = Scratch::new().await;
    let first = scratch.signer().await.unwrap();
    let again = scratch.signer().await.unwrap();
    assert_eq!(first.keys().jwks(), again.keys().jwks());
    assert!(!first.keys().jwks().contains("\"d\""));
    let row = scratch.store.signing_keys().await.unwrap().remove(0);
    assert!(!row.sealed.contains("PRIVATE"));
}

#[tokio::test]
async fn the_key_file_of_a_former_version_is_taken_over() {
    let scratch = Scratch::new().await;
    let file = scratch.dir.path().join(FORMER_FILE);
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    private_file::write(&file, pair.serialize_pem().as_bytes()).unwrap();
    let signer = scratch.signer().await.unwrap();
    let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key_raw());
    assert_eq!(
        signed_with(&signer.sign(&claims(), NOW).unwrap()),
        thumbprint(&x)
    );
    assert!(!file.exists());
    private_file::write(&file, b"nonsense").unwrap();
    scratch.signer().await.unwrap();
    assert!(file.exists(), "what is not ours is left alone");
}

#[tokio::test]
async fn a_new_key_is_published_before_it_signs() {
    let scratch = Scratch::new().await;
    let signer = scratch.signer().await.unwrap();
    let old = signed_with(&signer.sign(&claims(), NOW).unwrap());
    let new = new_key(&scratch.sealer, NOW, NOW + 1000).unwrap();
    scratch.store.add_signing_key(&new).await.unwrap();
    let signer = scratch.signer().await.unwrap();
    assert!(signer.keys().jwks().contains(&new.id));
    let before = signer.sign(&claims(), NOW + 999).unwrap();
    let after = signer.sign(&claims(), NOW + 1000).unwrap();
    assert_eq!(signed_with(&before), old);
    assert_eq!(signed_with(&after), new.id);
    let keys = signer.keys();
    let now_s = (NOW / 1000) as i64;
    for token in [&before, &after] {
        keys.public()
            .verify(token, CONTROL_AUDIENCE, now_s)
            .unwrap();
    }
    // Removed before its successor's time: the successor signs at once.
    scratch.store.remove_signing_key(&old, NOW).await.unwrap();
    let signer = scratch.signer().await.unwrap();
    assert_eq!(signed_with(&signer.sign(&claims(), NOW).unwrap()), new.id);
    let keys = signer.keys();
    let refused = keys.public().verify(&before, CONTROL_AUDIENCE, now_s);
    assert_eq!(refused.unwrap_err().reason, "token-unknown-key");
}

#[tokio::test]
async fn keys_that_another_key_sealed_stop_the_start_with_the_remedy() {
    let mut scratch = Scratch::new().await;
    scratch.signer().await.unwrap();
    let other = tempfile::tempdir().unwrap();
    scratch.sealer = Sealer::load_or_make(other.path(), None).unwrap();
    let error = scratch.signer().await.unwrap_err().to_string();
    assert!(
        error.contains("secrets.key") && error.contains("backup"),
        "{error}"
    );
}
