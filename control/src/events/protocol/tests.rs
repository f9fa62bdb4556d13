//! Frames as published clients send them, and as nobody should.

use proptest::prelude::*;

use super::*;

fn read(frame: &str) -> Vec<Result<Line, Malformed>> {
    lines(frame).collect()
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "what it is compared with is a result"
)]
fn command(id: u32, method: Method) -> Result<Line, Malformed> {
    Ok(Line::Command(id, method))
}

#[test]
fn commands_stand_one_a_line_in_a_frame() {
    let frame = "{\"id\":1,\"connect\":{\"token\":\"t\",\"name\":\"js\",\"version\":\"1\"}}\n\
                 {\"id\":2,\"subscribe\":{\"channel\":\"workspace:x\",\"recover\":true,\
                 \"epoch\":\"e\",\"offset\":7,\"flag\":1}}\n\n{}\n";
    let subscribe = Subscribe {
        channel: "workspace:x".into(),
        recover: true,
        epoch: "e".into(),
        offset: 7,
    };
    let connect = Method::Connect { token: "t".into() };
    assert_eq!(
        read(frame),
        [
            command(1, connect),
            command(2, Method::Subscribe(subscribe)),
            Ok(Line::Pong),
        ]
    );
}

#[test]
fn every_method_of_the_protocol_is_known_by_name() {
    let channel = || "c".to_owned();
    for (text, method) in [
        (
            r#""unsubscribe":{"channel":"c"}"#,
            Method::Unsubscribe { channel: channel() },
        ),
        (
            r#""refresh":{"token":"t"}"#,
            Method::Refresh { token: "t".into() },
        ),
        (r#""ping":{}"#, Method::Ping),
        (r#""send":{"data":{}}"#, Method::Send),
        (r#""publish":{"channel":"c","data":{}}"#, Method::Publish),
        (r#""presence":{"channel":"c"}"#, Method::NotOffered),
        (r#""presence_stats":{"channel":"c"}"#, Method::NotOffered),
        (r#""sub_refresh":{"channel":"c"}"#, Method::NotOffered),
        (r#""rpc":{"method":"x"}"#, Method::Unknown),
    ] {
        assert_eq!(read(&format!("{{\"id\":3,{text}}}")), [command(3, method)]);
    }
    let history = read(
        r#"{"id":4,"history":{"channel":"c","limit":5,"since":{"offset":2,"epoch":"e"},"reverse":true}}"#,
    );
    let expected = History {
        channel: channel(),
        limit: 5,
        since: Some(Since {
            offset: 2,
            epoch: "e".into(),
        }),
        reverse: true,
    };
    assert_eq!(history, [command(4, Method::History(expected))]);
}

#[test]
fn what_is_no_command_is_told_from_one() {
    for frame in [
        "x",
        "[]",
        "1",
        "{\"id\":-1,\"ping\":{}}",
        "{\"id\":1,\"connect\":7}",
        "{\"ping\":{}}",
        "{\"connect\":{}}",
        "{\"id\":1,\"ping\":{},\"send\":{}}",
        "{\"id\":1,\"presence\":{},\"send\":{}}",
        "{\"id\":4294967296,\"ping\":{}}",
    ] {
        assert_eq!(read(frame), [Err(Malformed)], "{frame}");
    }
    assert_eq!(read("{\"send\":{}}"), [command(0, Method::Send)]);
    assert_eq!(read(" \n\n"), []);
}

#[test]
fn replies_and_pushes_look_as_the_protocol_says() {
    assert_eq!(
        reply(1, "unsubscribe", &json!({})),
        r#"{"id":1,"unsubscribe":{}}"#
    );
    assert_eq!(
        error(2, Fault::PermissionDenied),
        r#"{"error":{"code":103,"message":"permission denied"},"id":2}"#
    );
    let internal: Value = serde_json::from_str(&error(3, Fault::Internal)).unwrap();
    assert_eq!(internal["error"]["temporary"], true);
    assert_eq!(
        push("c", 9, r#"{"type":"session"}"#),
        r#"{"push":{"channel":"c","pub":{"data":{"type":"session"},"offset":9}}}"#
    );
    assert!(!push("c", 9, "{\"a\":\"line\\nbreak\"}").contains('\n'));
    let unsubscribed: Value = serde_json::from_str(&unsubscribed("c", "x")).unwrap();
    assert_eq!(unsubscribed["push"]["unsubscribe"]["code"], 2000);
}

proptest! {
    #[test]
    fn no_frame_is_too_strange_to_be_read(frame in ".{0,200}") {
        let _ = read(&frame);
    }
}
