//! Who may reach which files: roles, workspaces, and the directories that a machine gives.

use cmdop_proto::v1;
use cmdop_proto::v1::file_request::Request as Ask;
use cmdop_tests::{Wire, World};
use tokio_stream::wrappers::ReceiverStream;

use crate::files::{on, text};

#[tokio::test]
async fn a_guest_reads_only_what_its_machine_gives_guests_and_writes_nowhere() {
    let mut world = World::start().await;
    let guest = world.add_account("watcher", "guest").await;
    let public = world.directory().join("public");
    std::fs::create_dir(&public).unwrap();
    std::fs::write(public.join("readme"), "for all").unwrap();
    std::fs::write(world.directory().join("secret"), "not for guests").unwrap();
    let file = public.join("readme");
    let nothing = guest.cli.run(&["fs", "cat", &on("web-1", &file)]).await;
    nothing.refused(77, &["no files of this machine"]);
    let machine = world.machine("web-1");
    machine.stop().await;
    machine.configure(&format!("[files]\nguest = [\"{}\"]\n", public.display()));
    machine.run().await;
    let read = guest.cli.run(&["fs", "cat", &on("web-1", &file)]).await;
    assert_eq!(read.ok(), "for all");
    let outside = world.directory().join("secret");
    let outside = guest.cli.run(&["fs", "cat", &on("web-1", &outside)]).await;
    outside.refused(77, &["leads out"]);
    let own = world.directory().join("own");
    std::fs::write(&own, "x").unwrap();
    let write = guest
        .cli
        .run(&["cp", text(&own), &on("web-1", &public)])
        .await;
    write.refused(77, &["may only read"]);
    let remove = guest.cli.run(&["fs", "rm", &on("web-1", &file)]).await;
    remove.refused(77, &["may only read"]);
    assert!(file.exists() && !public.join("own").exists());
}

#[tokio::test]
async fn a_member_is_kept_to_its_directories_whatever_links_it_makes() {
    let mut world = World::start().await;
    let member = world.add_account("worker", "member").await;
    let (inside, outside) = (world.directory().join("in"), world.directory().join("out"));
    std::fs::create_dir(&inside).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    let machine = world.machine("web-1");
    machine.stop().await;
    machine.configure(&format!("[files]\nmember = [\"{}\"]\n", inside.display()));
    machine.run().await;
    let run = |args: Vec<String>| {
        let cli = member.cli.clone();
        async move {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            cli.run(&args).await
        }
    };
    let fs = |verb: &str, paths: &[String]| {
        let words = ["fs".to_owned(), verb.to_owned()];
        run(words.into_iter().chain(paths.iter().cloned()).collect())
    };
    // A link may say what it likes; following it is another thing.
    let link = on("web-1", &inside.join("link"));
    fs("ln", &[outside.display().to_string(), link.clone()])
        .await
        .ok();
    for path in [
        format!("{link}/secret"),
        on("web-1", &outside.join("secret")),
        on("web-1", &inside.join("../out/secret")),
        "web-1:/etc/passwd".into(),
    ] {
        fs("cat", std::slice::from_ref(&path))
            .await
            .refused(77, &["leads out"]);
        fs("rm", &[path]).await.refused(77, &["leads out"]);
    }
    let own = world.directory().join("own");
    std::fs::write(&own, "x").unwrap();
    let through = vec![
        "cp".into(),
        own.display().to_string(),
        format!("{link}/new"),
    ];
    run(through).await.refused(77, &["leads out"]);
    assert!(!outside.join("new").exists() && outside.join("secret").exists());
    fs("cat", &["web-1:/dev/null".into()])
        .await
        .refused(77, &["leads out"]);
}

#[tokio::test]
async fn devices_are_not_read() {
    let world = World::start().await;
    let read = world.cmdop(&["fs", "cat", "web-1:/dev/zero"]).await;
    read.refused(2, &["not a regular file"]);
}

#[tokio::test]
async fn another_workspace_finds_no_machine() {
    let world = World::start().await;
    world.add_workspace("others").await;
    let other = world.add_account_in("others", "stranger", "owner").await;
    for args in [
        ["fs", "ls", "web-1:/"].as_slice(),
        &["cp", "web-1:/etc/hostname", "x"],
    ] {
        let refused = other.cli.run(args).await;
        refused.refused(69, &["no machine `web-1`"]);
    }
}

#[tokio::test]
async fn a_patched_client_of_a_guest_is_refused_by_the_relay() {
    let world = World::start().await;
    let guest = world.add_account("watcher", "guest").await;
    let target = world.directory().join("victim");
    std::fs::write(&target, "x").unwrap();
    let url = world.relay.url();
    let wire = Wire::dial(&url, &world.control.ca_pem(), &guest.access_token().await).await;
    let (requests, stream) = tokio::sync::mpsc::channel(4);
    let ask = |id, request| v1::FileRequest {
        id,
        request: Some(request),
    };
    let open = Ask::Open(v1::FilesOpen {
        machine: "web-1".into(),
        ..v1::FilesOpen::default()
    });
    requests.send(ask(0, open)).await.unwrap();
    let remove = Ask::Remove(v1::FileRemove {
        path: text(&target).as_bytes().to_vec().into(),
        recursive: true,
    });
    let mut answers = wire
        .files()
        .open(ReceiverStream::new(stream))
        .await
        .unwrap()
        .into_inner();
    answers.message().await.unwrap().unwrap();
    requests.send(ask(1, remove)).await.unwrap();
    let refused = answers.message().await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused:?}");
    assert!(target.exists());
}

#[tokio::test]
async fn a_role_keeps_no_more_in_its_directories_than_its_quota() {
    let mut world = World::start().await;
    let member = world.add_account("worker", "member").await;
    let inside = world.directory().join("in");
    std::fs::create_dir(&inside).unwrap();
    let machine = world.machine("web-1");
    machine.stop().await;
    machine.configure(&format!(
        "[files]\nmember = [\"{}\"]\n[files.quota]\nmember = 1_000_000\n",
        inside.display()
    ));
    machine.run().await;
    let run = async |args: &[&str]| member.cli.run(args).await;
    let (large, small) = (
        world.directory().join("large"),
        world.directory().join("small"),
    );
    std::fs::write(&large, vec![b'x'; 600_000]).unwrap();
    std::fs::write(&small, "fits").unwrap();
    let there = on("web-1", &inside);
    let twin = on("web-1", &inside.join("twin"));
    run(&["cp", "-q", text(&large), &there]).await.ok();
    let copy = ["cp", "-q", text(&large), twin.as_str()];
    let second = run(&copy).await;
    second.refused(75, &["quota"]);
    let on_machine = run(&["cp", "-q", &on("web-1", &inside.join("large")), &twin]).await;
    assert!(on_machine.err().contains("quota"), "{on_machine:?}");
    assert!(!inside.join("twin").exists(), "half a file has no name");
    run(&["cp", "-q", text(&small), &there]).await.ok();
    run(&["fs", "rm", &on("web-1", &inside.join("large"))])
        .await
        .ok();
    run(&copy).await.ok();
    // Who is not confined has no quota.
    world.cmdop(&["cp", "-q", text(&large), &there]).await.ok();
}
