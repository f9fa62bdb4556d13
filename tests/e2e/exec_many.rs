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
            "case $TMPDIR in *a-1*) exit 3; esac",
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
    let script = "case $TMPDIR in *bad-1*) exit 9;; *slow-1*) sleep 600;; esac";
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
    let mut outcomes: Vec<_> = json
        .out()
        .lines()
        .map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            format!("{} {}", record["target"], record["outcome"]).replace('"', "")
        })
        .collect();
    outcomes.sort();
    let expected = [
        "bad-1 failed",
        "off-1 offline",
        "ok-1 ok",
        "ok-2 ok",
        "slow-1 timed_out",
    ];
    assert_eq!(outcomes, expected, "{json:?}");
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
    assert_eq!(outcome.out().matches("ran").count(), 2, "{outcome:?}");
    assert!(
        outcome.err().contains("ok 2  failed 1 ") && outcome.err().contains("targets 3"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn many_without_stdin_end_with_their_summary() {
    let world = World::with().machines(&["a-1"]).start().await;
    let outcome = world
        .cmdop(&["exec", "-n", "a-1", "typo", "--", "true"])
        .await;
    assert_eq!(outcome.status, 1, "{outcome:?}");
    assert!(outcome.err().contains("= targets 2"), "{outcome:?}");
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_run_as_a_broken_pipe_does() {
    let world = World::with().machines(&["a-1", "a-2"]).start().await;
    let cmdop = cmdop_tests::binaries::path("cmdop").display().to_string();
    let script = format!("{cmdop} exec -n a-1 a-2 -- yes | head -1; echo ${{PIPESTATUS[0]}}");
    let output = tokio::process::Command::new("bash")
        .args(["-c", &script])
        .envs(world.owner.cli.env().iter().cloned())
        .output();
    let output = cmdop_tests::wait::within("the end", output).await.unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(out.ends_with(": y\n141\n"), "{output:?}");
}

#[tokio::test]
async fn an_interrupt_is_heard_while_nobody_reads() {
    let world = World::with().machines(&["a-1", "a-2"]).start().await;
    let mut child = tokio::process::Command::new(cmdop_tests::binaries::path("cmdop"))
        .args(["exec", "-n", "a-1", "a-2", "--", "yes"])
        .envs(world.owner.cli.env().iter().cloned())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pipe = child.stdout.take().unwrap();
    // More than a pipe holds has come, and nobody takes it.
    let capacity = rustix::pipe::fcntl_getpipe_size(&pipe).unwrap();
    cmdop_tests::wait::until_true("the pipe is full", || {
        rustix::io::ioctl_fionread(&pipe).unwrap() as usize + 4096 >= capacity
    })
    .await;
    let pid = rustix::process::Pid::from_raw(child.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = cmdop_tests::wait::within("the end", child.wait()).await;
    assert_eq!(status.unwrap().code(), Some(130));
}
