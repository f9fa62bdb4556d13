//! Readers of one window, in times that are made up.

use cmdop_proto::v1;
use proptest::prelude::*;

use super::*;

fn piece() -> Ask {
    Ask::Put(v1::FilePut::default())
}

fn push(window: &mut Window, now: Instant) -> Option<u64> {
    window.push(&piece(), WINDOW / 4, now)
}

fn took(window: &mut Window, reader: ReaderId, number: u64, now: Instant) -> bool {
    matches!(window.take(reader, number, now), Taken::Piece(_))
}

#[test]
fn a_piece_is_kept_until_all_have_taken_it() {
    let now = Instant::now();
    let mut window = Window::new();
    let (one, other) = (window.join(now), window.join(now));
    for number in 0..4 {
        assert_eq!(push(&mut window, now), Some(number));
        assert!(took(&mut window, one, number, now));
    }
    assert_eq!(push(&mut window, now), None, "it is full");
    assert!(took(&mut window, other, 0, now));
    assert_eq!(push(&mut window, now), Some(4));
    assert!(matches!(window.take(one, 3, now), Taken::Never));
    assert!(matches!(window.take(one, 5, now), Taken::Later));
    assert!(matches!(window.take(one, 5 + AHEAD, now), Taken::Never));
    window.leave(other, now);
    assert_eq!(window.bytes, 0, "what was passed over is not kept either");
}

#[test]
fn where_nobody_reads_nothing_is_kept() {
    let now = Instant::now();
    let mut window = Window::new();
    for number in 0..100 {
        assert_eq!(push(&mut window, now), Some(number));
        assert_eq!(window.bytes, 0);
    }
    let late = window.join(now);
    assert!(matches!(window.take(late, 99, now), Taken::Never));
    assert!(matches!(window.take(late, 100, now), Taken::Later));
}

#[test]
fn who_holds_up_the_others_is_left_behind_after_a_moment() {
    let begun = Instant::now();
    let mut window = Window::new();
    let (quick, slow) = (window.join(begun), window.join(begun));
    for number in 0..4 {
        push(&mut window, begun).unwrap();
        took(&mut window, quick, number, begun);
    }
    assert_eq!(push(&mut window, begun), None);
    assert!(window.late(begun + PATIENCE).is_empty());
    let late = window.late(begun + PATIENCE * 2);
    assert_eq!(late, [slow]);
    assert!(push(&mut window, begun + PATIENCE * 2).is_some());
    assert!(matches!(window.take(slow, 0, begun), Taken::Never));
}

#[test]
fn where_all_are_equally_slow_nobody_is() {
    let begun = Instant::now();
    let mut window = Window::new();
    window.join(begun);
    window.join(begun);
    while push(&mut window, begun).is_some() {}
    assert!(window.is_full());
    assert!(window.late(begun + PATIENCE * 100).is_empty());
}

#[test]
fn a_reader_that_is_much_slower_costs_the_others_a_few_seconds() {
    let begun = Instant::now();
    let mut window = Window::new();
    let (quick, slow) = (window.join(begun), window.join(begun));
    let mut now = begun;
    let (mut taken, mut pushed, mut waited) = (0, 0, Duration::ZERO);
    // The slow one takes a piece each second; the quick one could take more.
    let left = (0..200).find_map(|_| {
        while push(&mut window, now).is_some() {
            took(&mut window, quick, pushed, now);
            pushed += 1;
        }
        now += Duration::from_secs(1);
        waited += Duration::from_secs(1);
        took(&mut window, slow, taken, now);
        taken += 1;
        window.late(now).first().copied()
    });
    assert_eq!(left, Some(slow));
    assert!(waited <= PATIENCE * 2, "{waited:?}");
}

proptest! {
    #[test]
    fn a_window_is_bounded_and_each_reader_gets_each_piece_once_in_order(
        steps in proptest::collection::vec((0usize..4, 0usize..(1 << 20)), 1..300)
    ) {
        let now = Instant::now();
        let mut window = Window::new();
        let readers = [window.join(now), window.join(now), window.join(now)];
        let mut next = [0u64; 3];
        let mut pushed = 0;
        for (who, bytes) in steps {
            if who == 3 {
                if let Some(number) = window.push(&piece(), bytes, now) {
                    prop_assert_eq!(number, pushed);
                    pushed += 1;
                }
            } else if took(&mut window, readers[who], next[who], now) {
                next[who] += 1;
            }
            prop_assert!(window.bytes <= WINDOW);
            prop_assert!(next.iter().all(|next| *next <= pushed));
            let held: usize = window.pieces.iter().map(|(_, bytes)| bytes).sum();
            prop_assert_eq!(held, window.bytes);
        }
    }
}
