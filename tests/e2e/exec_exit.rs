//! `cmdop exec` ends as the program there ended.

use cmdop_tests::World;

#[tokio::test]
async fn the_exit_code_of_the_program_is_the_exit_code_here() {
    let world = World::start().await;
    for code in [0, 1, 2, 42, 77, 127, 130, 255] {
        let script = format!("exit {code}");
        let outcome = world
            .cmdop(&["exec", "web-1", "--", "sh", "-c", &script])
            .await;
        assert_eq!(
            (outcome.status, outcome.out().as_str()),
            (code, ""),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_signal_becomes_128_and_its_number() {
    let world = World::start().await;
    for (signal, number) in [("INT", 2), ("KILL", 9), ("TERM", 15), ("SEGV", 11)] {
        let script = format!("ulimit -c 0; kill -{signal} $$");
        let outcome = world
            .cmdop(&["exec", "web-1", "--", "sh", "-c", &script])
            .await;
        assert_eq!(outcome.status, 128 + number, "{outcome:?}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_127_and_one_that_may_not_run_126() {
    let world = World::start().await;
    let missing = world
        .cmdop(&["exec", "web-1", "--", "no-such-program"])
        .await;
    missing.refused(127, &["no-such-program"]);
    let directory = world.cmdop(&["exec", "web-1", "--", "/etc"]).await;
    directory.refused(126, &["/etc"]);
}

#[tokio::test]
async fn a_working_directory_that_is_missing_is_named() {
    let world = World::start().await;
    let outcome = world
        .cmdop(&["exec", "--cwd", "/no/such/place", "web-1", "--", "true"])
        .await;
    assert_ne!(outcome.status, 0);
    assert!(outcome.err().contains("/no/such/place"), "{outcome:?}");
}

#[tokio::test]
async fn directory_and_environment_are_as_asked() {
    let world = World::start().await;
    let script = "pwd; echo $COLOUR";
    let args = [
        "exec",
        "--cwd",
        "/usr",
        "--env",
        "COLOUR=dark green",
        "web-1",
        "--",
        "sh",
        "-c",
        script,
    ];
    assert_eq!(world.cmdop(&args).await.ok(), "/usr\ndark green\n");
}

#[tokio::test]
async fn a_time_limit_ends_the_program_and_says_so() {
    let world = World::start().await;
    let marker = world.directory().join("late");
    let script = format!("trap '' TERM; sleep 600; touch {}", marker.display());
    let outcome = world
        .cmdop(&[
            "exec",
            "--timeout",
            "500ms",
            "web-1",
            "--",
            "sh",
            "-c",
            &script,
        ])
        .await;
    outcome.refused(75, &["500"]);
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_program_with_it() {
    let mut world = World::start().await;
    let pid_file = world.directory().join("pid");
    let script = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600",
        pid_file.display()
    );
    let child = world
        .owner
        .cli
        .start(&["exec", "web-1", "--", "sh", "-c", &script]);
    let pid = cmdop_tests::wait::until("the program runs", || async {
        std::fs::read_to_string(&pid_file)
            .ok()?
            .trim()
            .parse::<u32>()
            .ok()
    })
    .await;
    cmdop_tests::process::signal(child.id().expect("it runs"), rustix::process::Signal::INT);
    let proc_entry = format!("/proc/{pid}");
    cmdop_tests::wait::until_true("the program is gone", || {
        !std::path::Path::new(&proc_entry).exists()
    })
    .await;
    let outcome = cmdop_tests::cli::finish(child, b"").await;
    assert_eq!(outcome.status, 130, "{outcome:?}");
    assert!(world.machine("web-1").program().is_running());
}
