use crate::agent::Agent;
use crate::client::Client;
use crate::world::World;
#[tokio::test(flavor = "multi_thread")]
async fn measure() {
    let world = World::start().await;
    let machine = world.enrol("web-1");
    let agent = Agent::link(&world, machine).await;
    let mut client = Client::member(&world).await;
    let session = client.create("web-1", &[]).await;
    let mut ada = client.operate(&session.id).await;
    ada.next().await;
    let mut times = Vec::new();
    for turn in 0..2000 {
        let t = tokio::time::Instant::now();
        let have = ada.have;
        ada.typing(b"x").await;
        ada.until_offset(have + 1).await;
        if turn > 200 {
            times.push(t.elapsed());
        }
    }
    times.sort();
    eprintln!(
        "echo p50 {:?} p99 {:?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
    let total: u64 = 256 << 20;
    let have = ada.have;
    let t = tokio::time::Instant::now();
    agent.flood(&session.id, total);
    ada.text.clear();
    ada.until_offset(have + total).await;
    let e = t.elapsed();
    eprintln!(
        "flood {:.0} MB/s keyframes {}",
        total as f64 / 1e6 / e.as_secs_f64(),
        ada.keyframes
    );
}
