//! A program that cannot start says what is wrong, with what, and what to do: in its first breath.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cmdop_tests::World;
use cmdop_tests::cli::Outcome;
use cmdop_tests::world::Ground;

/// Runs one of the servers, which is expected to give up by itself.
async fn gives_up(ground: &Ground, program: &str, args: &[&str]) -> Outcome {
    let outcome = ground.cli("nobody").run_program(program, args).await;
    assert_ne!(outcome.status, 0, "{outcome:?}");
    assert_eq!(outcome.out(), "", "it is not ready and does not say so");
    assert!(!outcome.err().contains("panicked"), "{outcome:?}");
    outcome
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path of a test is text")
}

fn says(outcome: &Outcome, words: &[&str]) {
    let said = outcome.err().to_lowercase();
    for word in words {
        assert!(
            said.contains(&word.to_lowercase()),
            "`{word}` is missing in: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let ground = Ground::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = ground.path().join("fresh");
    let outcome = gives_up(
        &ground,
        "cmdop-control",
        &["serve", "--listen", &address, "--data-dir", text(&data)],
    )
    .await;
    says(&outcome, &[&address, "in use", "--listen"]);
    let world = World::start().await;
    let args = ["serve", "--listen", &address, "--data-dir", text(&data)];
    let token = world.directory().join("another-token");
    cmdop_tests::world::write_private(&token, &world.control.admin(&["relay-token"]).await.ok());
    let url = world.control.url();
    let args = [
        &args[..],
        &["--control", &url, "--enroll-token-file", text(&token)],
    ]
    .concat();
    let outcome = gives_up(&ground, "cmdop-relay", &args).await;
    says(&outcome, &[&address, "in use", "--listen"]);
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let ground = Ground::new();
    // A file where a directory is needed stops root, too.
    let file = ground.path().join("file");
    std::fs::write(&file, "").unwrap();
    let data = file.join("data");
    for program in ["cmdop-control", "cmdop-relay"] {
        let mut args = vec![
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            text(&data),
        ];
        if program == "cmdop-relay" {
            args.extend(["--control", "https://127.0.0.1:1"]);
        }
        let outcome = gives_up(&ground, program, &args).await;
        says(&outcome, &[text(&data), "cannot write", "--data-dir"]);
    }
    let outcome = gives_up(&ground, "cmdopd", &["run", "--data-dir", text(&data)]).await;
    says(&outcome, &[text(&data)]);
}

#[tokio::test]
async fn a_data_directory_in_use_is_named() {
    let mut world = World::start().await;
    let ground = Ground::new();
    let data = world.control.data().to_owned();
    let outcome = gives_up(
        &ground,
        "cmdop-control",
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            text(&data),
        ],
    )
    .await;
    says(&outcome, &[text(&data), "in use"]);
    let data = world.machine("web-1").data().to_owned();
    let outcome = gives_up(&ground, "cmdopd", &["run", "--data-dir", text(&data)]).await;
    says(&outcome, &[text(&data), "in use"]);
    world.cmdop(&["exec", "web-1", "--", "true"]).await.ok();
}

#[tokio::test]
async fn a_corrupt_database_is_named_and_left_alone() {
    let mut world = World::start().await;
    let ground = Ground::new();
    world.control.program.kill().await;
    let data = world.control.data().to_owned();
    let database = data.join("control.db");
    for file in ["control.db-wal", "control.db-shm"] {
        let _ = std::fs::remove_file(data.join(file));
    }
    let broken = b"this was a database once ".repeat(1000);
    std::fs::write(&database, &broken).unwrap();
    let outcome = gives_up(
        &ground,
        "cmdop-control",
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            text(&data),
        ],
    )
    .await;
    says(&outcome, &[text(&database), "backup"]);
    assert_eq!(
        std::fs::read(&database).unwrap(),
        broken,
        "what can perhaps be rescued is not touched"
    );
}

#[tokio::test]
async fn a_database_whose_pages_are_damaged_is_named() {
    let mut world = World::start().await;
    let ground = Ground::new();
    world.control.program.terminate().await;
    let data = world.control.data().to_owned();
    let database = data.join("control.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let length = bytes.len();
    for byte in &mut bytes[4096..length] {
        *byte ^= 0x5a;
    }
    std::fs::write(&database, &bytes).unwrap();
    let outcome = gives_up(
        &ground,
        "cmdop-control",
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            text(&data),
        ],
    )
    .await;
    says(&outcome, &[text(&database)]);
}

#[tokio::test]
async fn a_token_file_that_others_can_read_is_refused_with_the_remedy() {
    let world = World::start().await;
    let file = world.owner.tokens_file();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = world.cmdop(&["machines"]).await;
    refused.refused(77, &["chmod 600", text(&file), "0644"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    world.cmdop(&["machines"]).await.ok();
}

#[tokio::test]
async fn a_servers_key_that_others_can_read_is_refused_with_the_remedy() {
    let mut world = World::start().await;
    let ground = Ground::new();
    world.control.program.terminate().await;
    let data = world.control.data().to_owned();
    let key = data.join("secrets.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let outcome = gives_up(
        &ground,
        "cmdop-control",
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            text(&data),
        ],
    )
    .await;
    says(&outcome, &[text(&key), "chmod 600"]);
}

#[tokio::test]
async fn a_configuration_with_a_typo_names_the_nearest_key() {
    let ground = Ground::new();
    let config = ground.path().join("config.toml");
    std::fs::write(&config, "lisen = \"127.0.0.1:0\"\n").unwrap();
    for program in ["cmdop-control", "cmdop-relay", "cmdop-router"] {
        let outcome = gives_up(&ground, program, &["serve", "--config", text(&config)]).await;
        says(&outcome, &[text(&config), "lisen", "did you mean `listen`"]);
    }
}

#[tokio::test]
async fn an_agent_that_never_enrolled_says_how() {
    let ground = Ground::new();
    let data = ground.path().join("agent");
    let outcome = gives_up(&ground, "cmdopd", &["run", "--data-dir", text(&data)]).await;
    says(&outcome, &["cmdopd enroll"]);
}

#[tokio::test]
async fn every_program_stops_when_it_is_told() {
    let mut world = World::start().await;
    let person = world
        .owner
        .at_a_terminal(&["new", "web-1", "--", "/bin/cat"]);
    person.type_keys("x\r");
    person.sees("x").await;
    assert_eq!(world.relay.program.terminate().await, 0);
    assert_eq!(world.control.program.terminate().await, 0);
    assert_eq!(world.machine("web-1").program().terminate().await, 0);
}
