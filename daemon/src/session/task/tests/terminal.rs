//! What the program finds of its terminal, and what happens to it there.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_finds_a_terminal_as_a_login_makes_it() {
    let mut world = World::new().await;
    let mut start = start_session(&[
        "sh",
        "-c",
        "echo $TERM $COLORTERM $TERM_PROGRAM $CMDOP_SESSION $A; pwd; tty; stty size; \
         ps -o tpgid= -p $$ | tr -d ' '; echo me $$",
    ]);
    start.cwd = "/usr".into();
    start.env.insert("A".into(), "one".into());
    let id = start.session.as_ref().unwrap().id.clone();
    let mut session = world.start_session(start).await.flowing().await;
    let exited = session.exit().await;
    assert_eq!(exited.exit, code(0));
    let text = session.text();
    let mut lines = text.lines();
    let wanted = format!("xterm-256color truecolor cmdop {id} one");
    assert_eq!(lines.next(), Some(&wanted[..]));
    assert_eq!(lines.next(), Some("/usr"));
    assert!(lines.next().unwrap().starts_with("/dev/"), "{text}");
    assert_eq!(lines.next(), Some("24 80"));
    // It leads the foreground group of its controlling terminal.
    let foreground: i32 = lines.next().unwrap().parse().unwrap();
    assert_eq!(foreground, number_after(&session, "me"));
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_command_it_is_a_login_shell() {
    let mut world = World::new().await;
    let mut session = world.session(&[]).await.flowing().await;
    session.input(b"echo name=$0; exit 3\r").await;
    let exited = session.exit().await;
    assert_eq!(exited.exit, code(3));
    let text = session.text();
    assert!(text.contains("name=-"), "{text}");
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resize_is_seen_by_the_program_and_told_to_the_relay() {
    let mut world = World::new().await;
    let mut session = world.session(&["sh"]).await.flowing().await;
    let size = v1::Size {
        rows: 33,
        cols: 101,
    };
    session.say(Down::Resize(size)).await;
    let told = session
        .wait_for("resized", |message| match message {
            Up::Resized(size) => Some(size),
            _ => None,
        })
        .await;
    assert_eq!(told, size);
    session.input(b"stty size\r").await;
    session.until("33 101").await;
    // Nonsense changes nothing.
    session
        .say(Down::Resize(v1::Size { rows: 0, cols: 0 }))
        .await;
    session.input(b"stty size; exit\r").await;
    session.exit().await;
    assert_eq!(session.text().matches("33 101").count(), 2);
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_goes_to_the_program_in_the_foreground() {
    let mut world = World::new().await;
    let mut start = start_session(&["bash", "--norc", "--noprofile", "-i"]);
    start.env.insert("PS1".into(), "prompt> ".into());
    let mut session = world.start_session(start).await.flowing().await;
    session.until("prompt> ").await;
    session.input(b"echo me $$ .\r").await;
    session.until(" .\r\n").await;
    session.until("me ").await;
    let shell = within("the shell's id", async {
        loop {
            // The first "me" is the echo of the command, which holds no number.
            let text = session.text();
            let found = text
                .split("me ")
                .skip(2)
                .find_map(|rest| rest.split(" .").next());
            if let Some(Ok(pid)) = found.map(str::parse::<i32>) {
                break pid;
            }
            session.next().await.unwrap();
        }
    })
    .await;
    session.input(b"sleep 1000\r").await;
    within("the job in the foreground", async {
        while !foreground_command(shell).starts_with("sleep") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    session.say(Down::Signal(2)).await;
    // What is typed before the shell is back may be thrown away with the interrupted line.
    session
        .until("sleep 1000\r\n\u{1b}[?2004l\r\r\n\u{1b}[?2004hprompt> ")
        .await;
    session.input(b"echo status=$?\r").await;
    session.until("status=130").await;
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_gets_an_answer_to_its_query() {
    let mut world = World::new().await;
    let script = "stty raw -echo; printf '\\033[6n'; head -c 6 | od -An -c; exit 4";
    let mut session = world.session(&["sh", "-c", script]).await.flowing().await;
    assert_eq!(session.exit().await.exit, code(4));
    assert!(
        session.text().contains("033   [   1   ;   1   R"),
        "{}",
        session.text()
    );
    assert!(session.acks.is_empty() && session.tag == 0);
    drop(session);
    world.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_cannot_start_is_refused() {
    let mut world = World::new().await;
    for (start, reason) in [
        (start_session(&["/no/such/program"]), "cannot-start"),
        (
            v1::StartSession {
                cwd: "/no/such/place".into(),
                ..start_session(&["sh"])
            },
            "bad-directory",
        ),
        (v1::StartSession::default(), "bad-request"),
    ] {
        let order = world.link().order(Order::StartSession(start)).await;
        let AgentUp::Failed(failed) = world.link().message().await else {
            panic!("no refusal");
        };
        assert_eq!(failed.command_id, order);
        assert_eq!(failed.detail.unwrap().reason, reason);
    }
    let resume = v1::ResumeSession {
        session_id: SessionId::new().to_string(),
        stream_token: "stream-token".into(),
    };
    world.link().order(Order::ResumeSession(resume)).await;
    let AgentUp::Failed(failed) = world.link().message().await else {
        panic!("no refusal");
    };
    assert_eq!(failed.detail.unwrap().reason, "session-unknown");
    world.stopped().await;
}
