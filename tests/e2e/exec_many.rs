//! `cmdop exec` on many machines: every line has its host, and the summary adds up.

use cmdop_tests::World;

#[tokio::test]
async fn every_line_names_its_host_and_all_must_succeed() {
    let world = World::with().machines(&["a-1", "a-2", "b-1"]).start().await;
    let outcome = world
        .cmdop(&[
            "exec",
            "a-1",
            "a-2",
            "b-1",
            "--",
            "sh",
            "-c",
            "echo one; echo two",
        ])
        .await;
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let out = outcome.out();
    for host in ["a-1", "a-2", "b-1"] {
        let lines: Vec<_> = out.lines().filter(|line| line.starts_with(host)).collect();
        assert!(
            lines.len() == 2 && lines[0].ends_with("one") && lines[1].ends_with("two"),
            "{outcome:?}"
        );
    }
    let failed = world
        .cmdop(&[
            "exec",
            "a-1",
            "a-2",
            "--",
            "sh",
            "-c",
            "case $HOME in *a-1*) exit 3; esac",
        ])
        .await;
    assert_eq!(failed.status, 1, "{failed:?}");
}

#[tokio::test]
async fn the_summary_accounts_for_every_target() {
    let mut world = World::with()
        .machines(&["ok-1", "ok-2", "bad-1", "slow-1", "off-1"])
        .start()
        .await;
    world.machine("off-1").kill().await;
    world.machine_is("off-1", "offline").await;
    let script = "case $HOME in *bad-1*) exit 9;; *slow-1*) sleep 600;; esac";
    let targets = ["ok-1", "ok-2", "bad-1", "slow-1", "off-1"];
    let args = [
        &["exec", "--timeout", "2s"][..],
        &targets,
        &["--", "sh", "-c", script],
    ]
    .concat();
    let outcome = world.cmdop(&args).await;
    assert_eq!(outcome.status, 1, "{outcome:?}");
    let summary = outcome
        .err()
        .lines()
        .last()
        .unwrap_or_default()
        .to_lowercase();
    for part in [
        "ok 2 ",
        "failed 1 ",
        "offline 1 ",
        "timed out 1 ",
        "not reported 0 ",
        "targets 5",
    ] {
        assert!(
            summary.contains(part),
            "`{part}` is missing in: {outcome:?}"
        );
    }
    let json = world
        .cmdop(
            &[
                &["exec", "--json", "--timeout", "2s"][..],
                &targets,
                &["--", "sh", "-c", script],
            ]
            .concat(),
        )
        .await;
    let lines: Vec<serde_json::Value> = json
        .out()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert!(!lines.is_empty(), "{json:?}");
    for target in targets {
        assert!(
            json.out().contains(target),
            "{target} is missing in {json:?}"
        );
    }
}

#[tokio::test]
async fn labels_choose_the_targets() {
    let mut world = World::with().machines(&[]).start().await;
    for (name, label) in [
        ("web-1", "tier=web"),
        ("web-2", "tier=web"),
        ("db-1", "tier=db"),
    ] {
        world
            .enroll_machine(name, &["--label", label])
            .await
            .run()
            .await;
    }
    let outcome = world
        .cmdop(&["exec", "-l", "tier=web", "--", "sh", "-c", "echo up"])
        .await;
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let out = outcome.out();
    assert!(
        out.contains("web-1") && out.contains("web-2") && !out.contains("db-1"),
        "{out}"
    );
    world
        .cmdop(&["exec", "-l", "tier=none", "--", "true"])
        .await
        .refused(69, &["no machine matches"]);
}

#[tokio::test]
async fn input_is_copied_to_all() {
    let world = World::with().machines(&["a-1", "a-2"]).start().await;
    let outcome = world
        .owner
        .cli
        .run_with(&["exec", "a-1", "a-2", "--", "cat"], b"hello\n")
        .await;
    assert_eq!(outcome.out().matches("hello").count(), 2, "{outcome:?}");
}

#[tokio::test]
async fn an_unknown_name_among_many_is_told_and_the_others_run() {
    let world = World::with().machines(&["a-1", "a-2"]).start().await;
    let outcome = world
        .cmdop(&["exec", "a-1", "typo", "a-2", "--", "echo", "ran"])
        .await;
    assert_eq!(outcome.status, 1, "{outcome:?}");
    assert!(outcome.err().contains("typo"), "{outcome:?}");
}
