//! What is told of transfers, on paused time.

use std::collections::HashMap;

use cmdop_proto::token::Claims;
use tokio::sync::mpsc;
use v1::report::What;

use super::leg::{BETWEEN, COMES_BACK};
use super::*;

struct Told {
    transfers: Transfers,
    reports: mpsc::Receiver<v1::Report>,
    account: Account,
}

fn told() -> Told {
    let (reporter, reports) = report::heard_by_a_test();
    Told {
        transfers: Transfers::new(reporter),
        reports,
        account: Account::of_a_test(),
    }
}

/// What an event says, and its details.
fn read(report: v1::Report) -> (String, String, HashMap<String, String>) {
    let Some(What::Event(event)) = report.what else {
        panic!("an event: {report:?}");
    };
    (event.action, event.outcome, event.detail)
}

impl Told {
    fn join(&self, transfer: TransferId, direction: Direction) -> Option<Arc<Leg>> {
        match self.try_join(transfer, direction) {
            Joined::Leg(leg) => Some(leg),
            Joined::Unheard | Joined::Full => None,
        }
    }

    fn try_join(&self, transfer: TransferId, direction: Direction) -> Joined {
        let key = Key {
            account: self.account.claims.sub.clone(),
            transfer,
            machine: "0190c3a0-0000-7000-8000-000000000001".parse().unwrap(),
            direction,
        };
        self.transfers
            .join(key, (&self.account, "web-1"), b"/srv/\x1b[2Ja")
    }

    fn next(&mut self) -> (String, String, HashMap<String, String>) {
        read(self.reports.try_recv().expect("something is told"))
    }

    fn nothing(&mut self) {
        assert!(self.reports.try_recv().is_err());
    }

    fn look(&self) {
        let now = Instant::now();
        self.transfers.end(|leg| leg.is_over(now));
    }
}

#[tokio::test(start_paused = true)]
async fn streams_of_one_transfer_are_told_as_one_beginning_and_one_end() {
    let mut told = told();
    let transfer = TransferId::new();
    let legs = [(); 4].map(|()| told.join(transfer, Direction::To).unwrap());
    let (action, outcome, detail) = told.next();
    assert_eq!(
        (action.as_str(), outcome.as_str()),
        ("transfer-began", "allowed")
    );
    assert_eq!(detail["transfer"], transfer.to_string());
    assert_eq!(detail["direction"], "to");
    assert_eq!(detail["path"], "/srv/[2Ja");
    for leg in legs {
        leg.carried(1000);
        leg.finished(1);
        leg.leave(None);
    }
    told.look();
    told.nothing();
    tokio::time::advance(BETWEEN).await;
    told.look();
    let (action, outcome, detail) = told.next();
    assert_eq!(
        (action.as_str(), outcome.as_str()),
        ("transfer-ended", "allowed")
    );
    assert_eq!(
        (detail["bytes"].as_str(), detail["files"].as_str()),
        ("4000", "4")
    );
    told.nothing();
    assert!(told.transfers.legs.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_goes_on_with_its_transfer_and_one_that_does_not_has_failed() {
    let mut told = told();
    let transfer = TransferId::new();
    let leg = told.join(transfer, Direction::From).unwrap();
    told.next();
    leg.leave(Some("files-lost".into()));
    tokio::time::advance(COMES_BACK / 2).await;
    told.look();
    let again = told.join(transfer, Direction::From).unwrap();
    tokio::time::advance(COMES_BACK).await;
    told.look();
    told.nothing();
    again.leave(Some("broken-off".into()));
    tokio::time::advance(COMES_BACK).await;
    told.look();
    let (action, outcome, detail) = told.next();
    assert_eq!(
        (action.as_str(), outcome.as_str()),
        ("transfer-ended", "failed")
    );
    assert_eq!(detail["reason"], "broken-off");
}

#[tokio::test(start_paused = true)]
async fn the_first_refusal_is_the_reason_of_a_failure() {
    let mut told = told();
    let leg = told.join(TransferId::new(), Direction::To).unwrap();
    told.next();
    leg.failed(1, "file-\x1b[2Jdenied");
    leg.failed(2, "disk-full");
    leg.leave(None);
    tokio::time::advance(BETWEEN).await;
    told.look();
    let (_, outcome, detail) = told.next();
    assert_eq!(outcome, "failed");
    assert_eq!(detail["reason"], "file-[2Jdenied");
    assert_eq!(detail["failures"], "3");
}

#[tokio::test(start_paused = true)]
async fn how_far_one_is_is_told_now_and_then_and_only_if_it_moved() {
    let told = told();
    let leg = told.join(TransferId::new(), Direction::To).unwrap();
    let mut said = Vec::new();
    for second in 0..30 {
        tokio::time::advance(Duration::from_secs(1)).await;
        if second < 12 {
            leg.carried(7);
        }
        said.extend(told.transfers.moved(Instant::now()));
    }
    let said: Vec<_> = said.into_iter().map(read).collect();
    assert_eq!(said.len(), 4, "{said:?}");
    let (action, _, detail) = said.last().unwrap();
    assert_eq!(action, "transfer-progress");
    assert_eq!(detail["bytes"], "84");
    assert!(!detail.contains_key("path"));
}

#[tokio::test(start_paused = true)]
async fn a_workspace_has_a_share_of_what_is_told_and_each_of_its_legs_has_a_turn() {
    let mut told = told();
    let legs: Vec<_> = (0..100)
        .map(|_| told.join(TransferId::new(), Direction::To).unwrap())
        .collect();
    let other = Account::of_a_test();
    let account = std::mem::replace(&mut told.account, other);
    let others = told.join(TransferId::new(), Direction::To).unwrap();
    told.account = account;
    let mut heard = std::collections::HashSet::new();
    for _ in 0..4 {
        tokio::time::advance(LOOK).await;
        tokio::time::advance(PROGRESS_EVERY).await;
        legs.iter().chain([&others]).for_each(|leg| leg.carried(1));
        let said = told.transfers.moved(Instant::now());
        assert_eq!(said.len(), PROGRESS_OF_WORKSPACE + 1);
        heard.extend(
            said.into_iter()
                .map(|report| read(report).2["transfer"].clone()),
        );
    }
    assert_eq!(heard.len(), 101);
}

#[tokio::test(start_paused = true)]
async fn what_is_beyond_a_share_is_counted_and_no_leg_is_without_bound() {
    let mut told = told();
    let mut joined = 0;
    // One account takes no more than its share, and all of them no more than there is.
    for share in [MOST_OF_ACCOUNT; 2].into_iter().chain([0]) {
        let someone = Account::of_a_test().claims;
        told.account.claims = Arc::new(Claims {
            wid: told.account.workspace(),
            ..Claims::clone(&someone)
        });
        let of_account = (0..2 * MOST_OF_ACCOUNT)
            .filter(|_| told.join(TransferId::new(), Direction::To).is_some())
            .count();
        assert_eq!(of_account, share);
        joined += of_account;
    }
    assert_eq!(joined, MOST);
    let beyond = told.try_join(TransferId::new(), Direction::To);
    assert!(matches!(beyond, Joined::Full), "it may be told of later");
    let mut began = 0;
    while told.reports.try_recv().is_ok() {
        began += 1;
    }
    assert!(began < MOST, "{began}");
    // They are told whole at their end, when there is a share again.
    tokio::time::advance(Duration::from_secs(60)).await;
    told.transfers.end_all();
    let mut ended = 0;
    while told.reports.try_recv().is_ok() {
        ended += 1;
    }
    assert_eq!(ended, MOST);
}

#[tokio::test]
async fn where_nobody_hears_nothing_is_counted() {
    let transfers = Transfers::new(Reporter::nowhere());
    let told = Told {
        transfers,
        ..told()
    };
    assert!(told.join(TransferId::new(), Direction::To).is_none());
    assert!(told.transfers.legs.lock().is_empty());
}
