//! Files: one large, many small, a copy that is cut and resumed, and what a transfer does to an echo and to the
//! memory of those it passes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cmdop_tests::{World, binaries};
use tokio::time::Instant;

use crate::candidate::Candidate;
use crate::echo;
use crate::figures::{Race, Shuffle, Table};
use crate::idle::rollup;
use crate::sshd::Sshd;

const LARGE: u64 = 1 << 30;

/// Small files: 100 directories of 100.
const DIRECTORIES: usize = 100;
const SMALL: usize = 4 << 10;

/// A way to copy `from` to `to`, both paths on this computer.
struct Copier {
    name: &'static str,
    words: Vec<String>,
    env: Vec<(String, String)>,
    /// What stands before the path of the destination.
    remote: &'static str,
}

impl Copier {
    fn cmdop(world: &World, options: &[&str]) -> Self {
        let program = binaries::path("cmdop").display().to_string();
        let words = [&[program.as_str(), "cp", "-q"], options].concat();
        Self {
            name: "cmdop",
            words: words.into_iter().map(str::to_owned).collect(),
            env: world.owner.cli.env().to_vec(),
            remote: "web-1:",
        }
    }

    fn scp(sshd: &Sshd, options: &[&str]) -> Self {
        let config = sshd.config().display().to_string();
        let words = [&["scp", "-q", "-F", config.as_str()], options].concat();
        Self {
            name: "ssh",
            words: words.into_iter().map(str::to_owned).collect(),
            env: Vec::new(),
            remote: "bench:",
        }
    }

    fn rsync(sshd: &Sshd, options: &[&str]) -> Self {
        let shell = sshd.command().join(" ");
        let words = [&["rsync", "-e", shell.as_str()], options].concat();
        Self {
            name: "ssh",
            words: words.into_iter().map(str::to_owned).collect(),
            env: Vec::new(),
            remote: "bench:",
        }
    }

    fn command(&self, from: &Path, to: &Path) -> Command {
        let mut command = Command::new(&self.words[0]);
        command
            .args(&self.words[1..])
            .arg(from)
            .arg(format!("{}{}", self.remote, to.display()))
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn copy(&self, from: &Path, to: &Path) {
        let status = self.command(from, to).status().expect("the copier starts");
        assert!(status.success(), "{:?} failed", self.words);
    }
}

/// Measures all in turn, `rounds` times.
pub(crate) async fn measure(world: &World, sshd: Option<&Sshd>, rounds: usize, table: &mut Table) {
    let directory = world.directory().join("files");
    std::fs::create_dir(&directory).expect("a directory");
    let large = directory.join("large");
    write_noise(&large, LARGE);
    let mut copiers = vec![Copier::cmdop(world, &[])];
    copiers.extend(sshd.map(|sshd| Copier::scp(sshd, &[])));
    race(
        &copiers,
        (&large, &directory),
        rounds,
        "1 GiB (ssh: scp)",
        "≤ 1 × scp",
        table,
    )
    .await;

    let mut copiers = vec![Copier::cmdop(world, &["--no-md5"])];
    copiers.extend(sshd.map(|sshd| Copier::scp(sshd, &[])));
    let what = "1 GiB --no-md5 (ssh: scp)";
    race(&copiers, (&large, &directory), rounds, what, "", table).await;

    let small = directory.join("small");
    write_small(&small);
    let mut copiers = vec![Copier::cmdop(world, &["-r"])];
    copiers.extend(sshd.map(|sshd| Copier::scp(sshd, &["-r"])));
    let what = "10,000 × 4 KiB (ssh: scp -r)";
    race(
        &copiers,
        (&small, &directory),
        rounds,
        what,
        "≤ 0.33 × scp",
        table,
    )
    .await;
    if let Some(sshd) = sshd.filter(|_| Path::new("/usr/bin/rsync").exists()) {
        let copiers = [Copier::cmdop(world, &["-r"]), Copier::rsync(sshd, &["-r"])];
        let what = "10,000 × 4 KiB (ssh: rsync -r)";
        race(
            &copiers,
            (&small, &directory),
            rounds,
            what,
            "≤ 1 × rsync",
            table,
        )
        .await;
    }
    resumed(world, &large, &directory).await;
    memory(world, &large, &directory).await;
    remove(&directory);
}

/// How much of a file travels again when its copy is killed at 70 % and resumed.
async fn resumed(world: &World, large: &Path, directory: &Path) {
    let place = directory.join("resumed");
    std::fs::create_dir(&place).expect("a directory");
    let to = place.join("copy");
    let partial = || {
        let entries = std::fs::read_dir(&place).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.metadata().ok())
            .map(|about| about.len())
            .max()
    };
    let mut child = Copier::cmdop(world, &[])
        .command(large, &to)
        .spawn()
        .expect("the copier starts");
    while partial().unwrap_or(0) < LARGE / 10 * 7 {
        assert!(
            child.try_wait().expect("a child").is_none(),
            "it was too quick"
        );
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    child.kill().expect("a child");
    child.wait().expect("a child");
    let before = Instant::now();
    let output = Copier::cmdop(world, &["--resume", "--json"])
        .command(large, &to)
        .stdout(Stdio::piped())
        .output()
        .expect("the copier starts");
    let took = before.elapsed();
    assert!(output.status.success(), "{output:?}");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let sent = result["bytes_sent"].as_u64().expect("a number");
    println!(
        "\nresume after a cut at 70 % of 1 GiB: {:.1} % of the bytes travelled, in {:.1} s (goal: under 31 %)",
        sent as f64 * 100.0 / LARGE as f64,
        took.as_secs_f64()
    );
    remove(&place);
}

async fn race(
    copiers: &[Copier],
    (from, directory): (&Path, &Path),
    rounds: usize,
    what: &str,
    goal: &'static str,
    table: &mut Table,
) {
    let mut order: Vec<_> = copiers.iter().collect();
    let mut race = Race::new();
    let mut shuffle = Shuffle::new();
    for _ in 0..rounds {
        shuffle.shuffle(&mut order);
        for copier in &order {
            let to = directory.join(format!("to-{}", copier.name));
            remove(&to);
            // Nobody pays for what another one left to be written.
            rustix::fs::sync();
            let before = Instant::now();
            copier.copy(from, &to);
            race.entry(copier.name).or_default().push(before.elapsed());
            remove(&to);
            tokio::task::yield_now().await;
        }
    }
    table.row(what, goal, &race, 0.5);
}

fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
    let _ = std::fs::remove_dir_all(path);
}

/// Echo in a session of the machine that is copied to at the same time.
pub(crate) async fn beside(
    world: &World,
    sshd: Option<&Sshd>,
    candidates: &[Candidate],
    rounds: usize,
    table: &mut Table,
) {
    let directory = world.directory().join("beside");
    std::fs::create_dir(&directory).expect("a directory");
    let large = directory.join("large");
    write_noise(&large, LARGE);
    let (mut alone, mut beside) = (Race::new(), Race::new());
    for candidate in candidates {
        let copier = match (candidate.name, sshd) {
            ("cmdop", _) => Copier::cmdop(world, &[]),
            ("ssh", Some(sshd)) => Copier::scp(sshd, &[]),
            _ => continue,
        };
        let mut terminal = echo::typed_into(candidate);
        for _ in 0..rounds * 4 {
            echo::burst(&mut terminal, |took| {
                alone.entry(candidate.name).or_default().push(took);
            });
        }
        let over = Arc::new(AtomicBool::new(false));
        let copying = std::thread::spawn({
            let (over, large) = (over.clone(), large.clone());
            let to = directory.join("to-beside");
            move || {
                while !over.load(Ordering::Relaxed) {
                    copier.copy(&large, &to);
                }
                remove(&to);
            }
        });
        for _ in 0..rounds * 4 {
            echo::burst(&mut terminal, |took| {
                beside.entry(candidate.name).or_default().push(took);
            });
        }
        over.store(true, Ordering::Relaxed);
        copying.join().expect("the copies succeed");
        tokio::task::yield_now().await;
    }
    remove(&directory);
    table.row("echo alone, p99", "", &alone, 0.99);
    table.row("echo beside a transfer, p50", "", &beside, 0.5);
    table.row(
        "echo beside a transfer, p99",
        "≤ alone + 2 ms",
        &beside,
        0.99,
    );
}

/// How the relay and the agent grow while one transfer of ten times the large file passes them.
async fn memory(world: &World, large: &Path, directory: &Path) {
    const TIMES: usize = 10;
    let from = directory.join("ten");
    std::fs::create_dir(&from).expect("a directory");
    for number in 0..TIMES {
        // The same content under ten names: it is read, sent and written ten times.
        std::fs::hard_link(large, from.join(format!("{number}"))).expect("a link");
    }
    let relay = world.relay.program.pid();
    let agent = world.machines[0].worker().await;
    let before = [relay, agent].map(|pid| rollup(pid, "Rss:"));
    let to = directory.join("to-memory");
    let mut most = before;
    let mut child = Copier::cmdop(world, &["-r"])
        .command(&from, &to)
        .spawn()
        .expect("the copier starts");
    while child.try_wait().expect("a child").is_none() {
        for (most, pid) in most.iter_mut().zip([relay, agent]) {
            *most = rollup(pid, "Rss:").max(*most);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    remove(&to);
    remove(&from);
    println!(
        "\nmemory while one transfer of {TIMES} GiB passes, resident, KiB (goal: at most 32768 more)"
    );
    for ((name, before), most) in ["relay", "agent"].into_iter().zip(before).zip(most) {
        println!(
            "  {name:<6} {before:>7} before  {most:>7} at most  {:>7} more",
            most - before
        );
    }
}

/// Bytes that nothing can compress.
fn write_noise(path: &Path, size: u64) {
    use std::io::Write as _;
    let file = std::fs::File::create(path).expect("a file of the benchmark");
    let mut file = std::io::BufWriter::with_capacity(1 << 20, file);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..size / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())
            .expect("room for the benchmark");
    }
    file.flush().expect("room for the benchmark");
}

fn write_small(top: &Path) {
    for directory in 0..DIRECTORIES {
        let directory = top.join(format!("d{directory}"));
        std::fs::create_dir_all(&directory).expect("a directory");
        for file in 0..100 {
            write_noise(&directory.join(format!("f{file}")), SMALL as u64);
        }
    }
}
