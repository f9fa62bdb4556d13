//! The first promise: what is typed at one end arrives at the other, and what is printed comes back.

use cmdop_tests::World;

#[tokio::test]
async fn what_is_typed_runs_there_and_its_output_comes_back() {
    let world = World::start().await;
    let person = world
        .owner
        .at_a_terminal(&["new", "web-1", "--name", "first", "--", "/bin/sh"]);
    person.sees_prompt().await;
    person.enter("echo $((40 + 2))");
    person.sees_line("42").await;
    person.enter("tty");
    person.sees("/dev/pts/").await;
    person.enter("exit 0");
    assert_eq!(person.pty.exit().await, 0);
}

#[tokio::test]
async fn the_login_shell_of_the_agents_user_is_the_default() {
    let world = World::start().await;
    let person = world.owner.at_a_terminal(&["new", "web-1"]);
    person.sees_prompt().await;
    person.enter("echo shell=$0 term=$TERM color=$COLORTERM home=$(pwd)");
    person
        .sees("term=xterm-256color color=truecolor home=")
        .await;
}

#[tokio::test]
async fn a_session_outlives_its_client_and_its_screen_is_there_again() {
    let world = World::start().await;
    let first = world
        .owner
        .at_a_terminal(&["new", "web-1", "--name", "kept", "--", "/bin/sh"]);
    first.sees_prompt().await;
    first.enter("echo still-$((1 + 1))-here");
    first.sees_line("still-2-here").await;
    assert_eq!(first.detach().await, 0);
    let second = world.owner.at_a_terminal(&["attach", "kept"]);
    second.sees_line("still-2-here").await;
    second.enter("echo and-$((2 + 2))-works");
    second.sees_line("and-4-works").await;
}

#[tokio::test]
async fn an_interrupt_key_reaches_the_program() {
    let world = World::start().await;
    let person = world
        .owner
        .at_a_terminal(&["new", "web-1", "--", "/bin/sh"]);
    person.sees_prompt().await;
    person.enter("trap 'echo caught-$((3 + 4))' INT; echo armed-$((0 + 0)); read x");
    person.sees_line("armed-0").await;
    person.type_keys("\x03");
    person.sees("caught-7").await;
}

#[tokio::test]
async fn a_paste_larger_than_any_buffer_arrives_whole() {
    let world = World::start().await;
    // It stays until a last key, so that its terminal still shows the result.
    let counter = "stty -echo -icanon; echo ready; head -c 1048576 | cksum; head -c 1 >/dev/null";
    let person = world
        .owner
        .at_a_terminal(&["new", "web-1", "--", "/bin/sh", "-c", counter]);
    person.sees_line("ready").await;
    let paste: Vec<u8> = (0..1 << 20).map(|n: u32| b'a' + (n % 23) as u8).collect();
    let expected = cksum(&paste).await;
    for piece in paste.chunks(4096) {
        person.pty.write(piece);
        tokio::task::yield_now().await;
    }
    person.sees(&expected).await;
}

/// What the standard `cksum` says about `bytes`.
async fn cksum(bytes: &[u8]) -> String {
    use tokio::io::AsyncWriteExt as _;
    let mut child = tokio::process::Command::new("cksum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("cksum is there");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(bytes).await.expect("cksum reads");
    drop(stdin);
    let output = child.wait_with_output().await.expect("cksum ends");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
