//! Text is bytes: no cut between frames, reads or offsets can break a character or a sequence.

use cmdop_proto::v1::AttachMode;
use cmdop_tests::World;
use cmdop_tests::wire::{self, Wire};

#[tokio::test]
async fn a_character_split_over_two_frames_is_one_character() {
    let world = World::start().await;
    // The halves of ä, of € and of an emoji are printed by different writes, each after a key.
    let script =
        "stty -echo -icanon -opost; printf 'ready\\r\\n'; k() { dd bs=1 count=1 2>/dev/null >/dev/null; }
        k; printf '\\303'; k; printf '\\244'; k; printf '\\342\\202'; k; printf '\\254'
        k; printf '\\360\\237'; k; printf '\\230'; k; printf '\\200'; k; printf '<end>'; k";
    let person = world.owner.at_a_terminal(&[
        "new", "web-1", "--name", "split", "--", "/bin/sh", "-c", script,
    ]);
    person.sees_line("ready").await;
    let wire = Wire::dial(
        &world.relay.url(),
        &world.control.ca_pem(),
        &world.owner.access_token().await,
    )
    .await;
    let mut raw = wire.attach("split", AttachMode::Observer).await.unwrap();
    raw.until("the record", wire::opened).await;
    for pieces in 1..=8 {
        person.type_keys("x");
        let bytes = [1, 2, 4, 5, 7, 8, 9, 14][pieces - 1];
        let what = format!("piece {pieces}");
        person
            .pty
            .wait_until(&what, 1, |pty| count_after_ready(&pty.raw()) >= bytes)
            .await;
    }
    person.sees("ä€😀<end>").await;
    raw.until_output(b"<end>").await;
    assert!(
        raw.output().ends_with("ä€😀<end>".as_bytes()),
        "{}",
        raw.output().escape_ascii()
    );
}

#[tokio::test]
async fn bytes_that_are_no_text_pass_unchanged() {
    let world = World::start().await;
    let script = "stty raw -echo; printf ready; dd bs=1 count=1 2>/dev/null >/dev/null; printf '\\377\\376\\200\\300<end>'; cat >/dev/null";
    let session = world
        .new_session(&["web-1", "--", "/bin/sh", "-c", script])
        .await;
    let wire = Wire::dial(
        &world.relay.url(),
        &world.control.ca_pem(),
        &world.owner.access_token().await,
    )
    .await;
    let mut raw = wire.attach(&session, AttachMode::Operator).await.unwrap();
    raw.until("the record", wire::opened).await;
    cmdop_tests::wait::until_true_async("the program is ready", || async {
        world
            .cmdop(&["capture", &session])
            .await
            .out()
            .contains("ready")
    })
    .await;
    raw.type_keys(b"x").await;
    raw.until_output(b"<end>").await;
    assert!(
        raw.output().ends_with(b"\xff\xfe\x80\xc0<end>"),
        "{}",
        raw.output().escape_ascii()
    );
}

/// How many bytes came after the line that says `ready`.
fn count_after_ready(raw: &[u8]) -> usize {
    let mark = b"ready\r\n";
    let at = raw.windows(mark.len()).rposition(|window| window == mark);
    at.map_or(0, |at| raw.len() - at - mark.len())
}
