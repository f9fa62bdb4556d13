//! A second control plane on the database of the first, with a data directory of its own: they share nothing but the
//! key for secrets.

use std::path::PathBuf;
use std::time::Duration;

use cmdop_control::store::DatabaseUrl;
use cmdop_control::{Config, Running, Secret};
use tokio_util::sync::CancellationToken;

use crate::world::World;

pub struct Beside {
    pub running: Running,
    pub data: PathBuf,
    stop: CancellationToken,
}

impl Beside {
    /// It has the key from the environment.
    pub async fn start(world: &World) -> Self {
        Self::try_start(world, Some(secrets_key(world)), |_| {})
            .await
            .unwrap()
    }

    /// With that key, or one of its own, and what `prepare` puts into its data directory.
    pub async fn try_start(
        world: &World,
        secrets_key: Option<String>,
        prepare: impl FnOnce(&std::path::Path),
    ) -> Result<Self, cmdop_control::Error> {
        let data = world.data.path().join("beside");
        if !data.exists() {
            std::fs::create_dir(&data).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(&data, mode).unwrap();
        }
        prepare(&data);
        let stop = CancellationToken::new();
        let url = world.database.url().unwrap();
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            database: Some(DatabaseUrl::parse(&url).unwrap()),
            secrets_key: secrets_key.map(|key| Secret::given(&key)),
            clock: world.clock.clone(),
            ..Config::new(&data)
        };
        let running = cmdop_control::serve(config, stop.clone()).await?;
        Ok(Self {
            running,
            data,
            stop,
        })
    }

    pub async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.running.ended());
        ended.await.expect("it stops within 10 s").unwrap();
    }
}

/// What is in the first one's file.
pub fn secrets_key(world: &World) -> String {
    let file = world.data.path().join("control/secrets.key");
    std::fs::read_to_string(file).unwrap()
}
