//! What goes out on a stream, and in which order.

use cmdop_proto::CommandId;

use super::*;

fn log(bytes: usize) -> Log {
    let mut log = Log::of(8 << 10);
    log.append(&vec![b'x'; bytes], CommandId(0));
    log
}

/// What goes out until nothing is left, in one letter each with its size or offset.
fn sent(queue: &mut Queue, log: &Log) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(message) = queue.next(log, Offset::MAX) {
        all.push(match message {
            Message::Output(output) => format!("output {}+{}", output.offset, output.data.len()),
            Message::Keyframe(keyframe) => format!("keyframe {}", keyframe.offset),
            Message::LogStartsAt(offset) => format!("starts {offset}"),
            Message::InputAck(_) => "ack".into(),
            other => format!("{other:?}"),
        });
    }
    assert!(!queue.has_work(log, Offset::MAX) || !queue.has_sent_all(log));
    all
}

fn ack() -> Message {
    Message::InputAck(v1::AgentInputAck::default())
}

#[test]
fn no_output_goes_out_before_the_relay_said_from_where() {
    let (log, mut queue) = (log(10), Queue::default());
    queue.answer(ack());
    assert_eq!(sent(&mut queue, &log), ["ack"]);
    queue.begin(Offset(4));
    assert_eq!(sent(&mut queue, &log), ["output 4+6"]);
}

#[test]
fn a_keyframe_goes_out_between_the_bytes_before_and_after_it() {
    let (mut log, mut queue) = (log(10), Queue::default());
    queue.begin(Offset(3));
    queue.keyframe(v1::Keyframe {
        offset: 10,
        ..v1::Keyframe::default()
    });
    log.append(b"more", CommandId(0));
    queue.answer(ack());
    assert_eq!(
        sent(&mut queue, &log),
        ["ack", "output 3+7", "keyframe 10", "output 10+4"]
    );
}

#[test]
fn what_is_gone_is_announced_and_not_skipped_silently() {
    let (log, mut queue) = (log(20 << 10), Queue::default());
    queue.begin(Offset(0));
    let start = log.start().0;
    assert_eq!(
        sent(&mut queue, &log),
        [format!("starts {start}"), format!("output {start}+8192"),]
    );
}

#[test]
fn a_keyframe_behind_lost_bytes_is_replaced_by_one_that_can_be_followed() {
    let (mut log, mut queue) = (log(10), Queue::default());
    queue.begin(Offset(0));
    queue.keyframe(v1::Keyframe {
        offset: 10,
        ..v1::Keyframe::default()
    });
    assert!(!queue.has_stale_keyframe(&log));
    log.append(&vec![b'y'; 20 << 10], CommandId(0));
    assert!(queue.has_stale_keyframe(&log));
    queue.jump(v1::Keyframe {
        offset: log.end().0,
        ..v1::Keyframe::default()
    });
    assert!(!queue.has_stale_keyframe(&log));
    log.append(b"more", CommandId(0));
    assert_eq!(
        sent(&mut queue, &log),
        ["starts 20490", "keyframe 20490", "output 20490+4"]
    );
}

#[test]
fn no_more_is_sent_than_there_is_credit_for_and_the_end_comes_after_all() {
    let log = log(8_000);
    let mut queue = Queue::default();
    queue.begin(Offset(1000));
    let mut sent = Vec::new();
    while let Some(Message::Output(output)) = queue.next(&log, Offset(4000)) {
        sent.extend_from_slice(&output.data);
    }
    assert_eq!(sent.len(), 3000);
    assert!(!queue.has_work(&log, Offset(4000)) && !queue.has_sent_all(&log));
    assert!(queue.has_work(&log, Offset(4001)));
    while queue.next(&log, Offset::MAX).is_some() {}
    assert!(queue.has_sent_all(&log));
}

/// Sends what goes out at once: how many bytes, and their marks.
fn burst(queue: &mut Queue, log: &Log) -> (usize, Vec<u64>) {
    let (mut bytes, mut marks) = (0, Vec::new());
    while let Some(Message::Output(output)) = queue.next(log, Offset::MAX) {
        bytes += output.data.len();
        marks.extend((output.mark > 0).then_some(output.mark));
    }
    (bytes, marks)
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_never_answered_is_not_waited_for_and_one_that_answers_has_little_under_way() {
    const HALF: usize = 512 << 10;
    let mut log = Log::of(2 * HALF);
    log.append(&vec![b'x'; HALF], CommandId(0));
    let mut queue = Queue::default();
    queue.begin(Offset(0));
    let (bytes, mut marks) = burst(&mut queue, &log);
    assert_eq!(bytes, HALF);
    // A slow way: what it carries at once is little.
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    queue.received(marks.remove(0));
    log.append(&vec![b'x'; HALF], CommandId(0));
    // The first half is under way still.
    assert_eq!(burst(&mut queue, &log).0, 0);
    assert!(!queue.has_work(&log, Offset::MAX) && !queue.has_sent_all(&log));
    let mut rounds = 0;
    while !queue.has_sent_all(&log) {
        assert!(!marks.is_empty(), "nothing was asked for");
        marks.drain(..).for_each(|mark| queue.received(mark));
        marks = burst(&mut queue, &log).1;
        rounds += 1;
    }
    assert!(rounds >= 1);
}
