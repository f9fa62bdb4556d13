//! API keys in the hands of a program: what they open, what not, and how they end.

use cmdop_tests::cli::Cli;
use cmdop_tests::{World, wait};

/// A program that logged in with a new key of the owner's.
async fn program(world: &World, scopes: &[&str]) -> Cli {
    let mut issue = vec!["keys", "issue", "ci"];
    for scope in scopes {
        issue.extend(["--scope", scope]);
    }
    let key = world.cmdop(&issue).await.ok();
    assert!(key.starts_with("cmdop_live_"));
    let cli = world.stranger("ci");
    let ca = world.control.data().join("ca.pem");
    let url = world.control.url();
    let login = [
        "login",
        &url,
        "--ca",
        ca.to_str().unwrap(),
        "--api-key-stdin",
    ];
    cli.run_with(&login, key.as_bytes()).await.ok();
    cli
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_name_and_nothing_else() {
    let world = World::start().await;
    let id = world.new_session(&[]).await;
    let ci = program(&world, &["exec", "machines:read"]).await;
    let out = ci.run(&["exec", "web-1", "--", "echo", "built"]).await.ok();
    assert_eq!(out, "built\n");
    assert!(ci.run(&["machines"]).await.ok().contains("web-1"));
    for (args, scope) in [
        (&["sessions"][..], "sessions:read"),
        (&["send", &id, "x"], "sessions:operate"),
        (&["new", "-d", "web-1"], "sessions:operate"),
        (&["attach", &id], "sessions:read"),
        (&["fs", "ls", "web-1:/"], "files:read"),
        (&["machines", "label", "web-1", "a=b"], "machines:write"),
        (&["keys"], "admin"),
        (&["audit"], "admin"),
    ] {
        ci.run(args).await.refused(77, &[scope]);
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_what_runs_on_it() {
    let world = World::start().await;
    let ci = program(&world, &["exec"]).await;
    let running = ci.start(&["exec", "web-1", "--", "sleep", "1000"]);
    wait::until_true_async("the run", || async {
        let told = world
            .cmdop(&["audit", "--action", "exec-started"])
            .await
            .ok();
        told.contains("sleep 1000")
    })
    .await;
    world.cmdop(&["keys", "revoke", "ci"]).await.ok();
    let ended = wait::within("its end", running.wait_with_output()).await;
    assert_ne!(ended.unwrap().status.code(), Some(0));
    ci.run(&["exec", "web-1", "--", "true"])
        .await
        .refused(77, &[]);
}
