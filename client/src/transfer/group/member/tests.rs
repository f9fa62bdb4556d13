//! Which answer of several machines counts.

use cmdop_proto::Refusal;

use super::*;

fn yes() -> Vec<v1::FileResponse> {
    vec![response(Response::Done(v1::FileDone { count: 1 }))]
}

fn response(response: Response) -> v1::FileResponse {
    v1::FileResponse {
        id: 1,
        last: true,
        response: Some(response),
    }
}

fn no(reason: &str) -> Vec<v1::FileResponse> {
    let refusal = Refusal::denied(reason, "no");
    vec![response(Response::Refused(v1::FileRefused {
        detail: Some(refusal.detail()),
        ..v1::FileRefused::default()
    }))]
}

fn question(quorum: Quorum) -> Question {
    Question::new(1, quorum, 0..3)
}

#[test]
fn the_first_yes_counts_and_a_later_no_leaves() {
    let now = Instant::now();
    let mut question = question(Quorum::First);
    question.said(2, no("disk-full"), now);
    assert_eq!(
        question.verdict(),
        Verdict::Open,
        "perhaps it is the only one"
    );
    question.said(0, yes(), now);
    assert_eq!(question.verdict(), Verdict::Answer(yes()));
    assert_eq!(question.different(), [2]);
    question.left(2);
    question.said(1, yes(), now);
    assert!(question.different().is_empty() && question.is_over());
}

#[test]
fn where_all_say_no_it_is_the_answer_and_nobody_leaves() {
    let now = Instant::now();
    let mut question = question(Quorum::First);
    for member in 0..3 {
        assert_eq!(question.verdict(), Verdict::Open);
        question.said(member, no("file-denied"), now);
    }
    assert_eq!(question.verdict(), Verdict::Answer(no("file-denied")));
    assert!(question.different().is_empty());
}

#[test]
fn what_most_find_counts() {
    let now = Instant::now();
    let kind = |kind: v1::FileKind| {
        vec![response(Response::Entry(v1::FileEntry {
            kind: kind.into(),
            ..v1::FileEntry::default()
        }))]
    };
    let mut question = question(Quorum::Most);
    question.said(0, kind(v1::FileKind::File), now);
    question.said(1, kind(v1::FileKind::Directory), now);
    assert_eq!(question.verdict(), Verdict::Open);
    assert_eq!(question.late().unwrap().1, &BTreeSet::from([2]));
    question.said(2, kind(v1::FileKind::Directory), now);
    assert_eq!(
        question.verdict(),
        Verdict::Answer(kind(v1::FileKind::Directory))
    );
    assert_eq!(question.different(), [0]);
}

#[test]
fn a_directory_that_one_could_not_make_counts_for_nobody_else() {
    let now = Instant::now();
    let made = |refused: &[&'static [u8]]| {
        let refused = refused.iter().map(|path| v1::FileRefused {
            path: bytes::Bytes::from_static(path),
            ..v1::FileRefused::default()
        });
        vec![response(Response::Outcomes(v1::FileOutcomes {
            refused: refused.collect(),
            done: 1,
        }))]
    };
    let mut question = question(Quorum::Most);
    question.said(0, made(&[b"/link"]), now);
    question.said(1, made(&[]), now);
    question.said(2, made(&[]), now);
    assert_eq!(question.verdict(), Verdict::Answer(made(&[])));
    assert_eq!(question.different(), [0]);
}

#[test]
fn a_piece_that_ends_no_chunk_is_answered_by_nobody_and_nothing_else_is_passed_over() {
    let now = Instant::now();
    let mut piece = question(Quorum::Silent);
    assert_eq!(piece.verdict(), Verdict::Silence);
    assert!(piece.may_pass(0));
    piece.said(1, no("disk-full"), now);
    assert_eq!(piece.different(), [1]);
    piece.left(1);
    assert!(piece.may_pass(2) && piece.is_over());
    let mut chunk = question(Quorum::First);
    assert!(!chunk.may_pass(0));
}
