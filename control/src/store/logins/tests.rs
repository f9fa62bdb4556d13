//! Refresh tokens that come back, and logins that end.

use super::*;
use crate::store::Logins;
use crate::store::scratch::{NOW, Scratch};

const GRACE: u64 = REFRESH_GRACE.as_millis() as u64;

async fn logged_in() -> [Scratch; 2] {
    let each = Scratch::each().await;
    for scratch in &each {
        let here = scratch.here();
        here.add_login_secret("secret", scratch.account, None, NOW)
            .await
            .unwrap();
        here.log_in(Method::Secret("secret"), "r1", NOW)
            .await
            .unwrap();
    }
    each
}

#[tokio::test]
async fn a_replay_inside_the_grace_is_a_lost_answer_and_after_it_a_theft() {
    for scratch in logged_in().await {
        let here = scratch.here();
        here.refresh("r1", "r2", NOW).await.unwrap();
        here.refresh("r1", "r3", NOW + GRACE - 1).await.unwrap();
        let theft = here.refresh("r1", "r4", NOW + GRACE).await;
        assert!(matches!(theft, Err(RefreshError::Reused)));
        for token in ["r1", "r2", "r3"] {
            let ended = here.refresh(token, "r5", NOW + GRACE).await;
            assert!(matches!(ended, Err(RefreshError::Ended)), "{token}");
        }
        let unknown = here.refresh("r4", "r5", NOW + GRACE).await;
        assert!(matches!(unknown, Err(RefreshError::Unknown)));
    }
}

#[tokio::test]
async fn a_replay_after_its_successor_was_used_is_a_theft_at_once() {
    for scratch in logged_in().await {
        let here = scratch.here();
        here.refresh("r1", "r2", NOW).await.unwrap();
        here.refresh("r2", "r3", NOW + 1).await.unwrap();
        let theft = here.refresh("r1", "r4", NOW + 2).await;
        assert!(matches!(theft, Err(RefreshError::Reused)));
    }
}

#[tokio::test]
async fn of_what_a_replay_brought_only_one_is_ever_used() {
    for scratch in logged_in().await {
        let here = scratch.here();
        here.refresh("r1", "r2", NOW).await.unwrap();
        here.refresh("r1", "r3", NOW + 1).await.unwrap();
        here.refresh("r2", "r4", NOW + 2).await.unwrap();
        // The answer of r4 was lost: that is no theft.
        here.refresh("r2", "r5", NOW + 3).await.unwrap();
        let theft = here.refresh("r3", "r6", NOW + 4).await;
        assert!(matches!(theft, Err(RefreshError::Reused)));
        for token in ["r4", "r5"] {
            let ended = here.refresh(token, "r7", NOW + 5).await;
            assert!(matches!(ended, Err(RefreshError::Ended)), "{token}");
        }
    }
}

#[tokio::test]
async fn the_grace_does_not_multiply_tokens_without_end() {
    for scratch in logged_in().await {
        let here = scratch.here();
        for n in 0..MAX_REPLAYS {
            here.refresh("r1", &format!("n{n}"), NOW).await.unwrap();
        }
        assert!(matches!(
            here.refresh("r1", "x", NOW).await,
            Err(RefreshError::Reused)
        ));
    }
}

#[tokio::test]
async fn a_refresh_token_is_nothing_in_another_workspace() {
    for scratch in logged_in().await {
        let elsewhere = scratch.elsewhere().await;
        let refused = elsewhere.refresh("r1", "r2", NOW).await;
        assert!(matches!(refused, Err(RefreshError::Unknown)));
        elsewhere.log_out("r1", NOW).await.unwrap();
        assert!(scratch.here().refresh("r1", "r2", NOW).await.is_ok());
    }
}

#[tokio::test]
async fn two_who_come_with_one_secret_at_once_get_one_login() {
    for scratch in Scratch::each().await {
        let here = scratch.here();
        here.add_login_secret("secret", scratch.account, None, NOW)
            .await
            .unwrap();
        let (one, two) = tokio::join!(
            here.log_in(Method::Secret("secret"), "a", NOW),
            here.log_in(Method::Secret("secret"), "b", NOW),
        );
        assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
    }
}

#[tokio::test]
async fn a_logout_is_announced_once() {
    for scratch in logged_in().await {
        let here = scratch.here();
        here.log_out("r1", NOW).await.unwrap();
        here.log_out("r1", NOW + 1).await.unwrap();
        assert_eq!(scratch.store.last_change().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn who_knew_the_old_password_does_not_replace_the_one_that_was_set_meanwhile() {
    for scratch in logged_in().await {
        let (here, account) = (scratch.here(), scratch.account);
        let epoch = here.account(account).await.unwrap().unwrap().login_epoch;
        let set = here.set_password(account, "$a", Logins::Keep, NOW);
        set.await.unwrap();
        assert!(here.refresh("r1", "r2", NOW).await.is_ok(), "it goes on");
        let set = here.set_password(account, "$b", Logins::End, NOW);
        set.await.unwrap();
        let late = here.change_password(account, epoch, "$c", NOW).await;
        assert!(!late.unwrap());
        let kept = here.password_hash(account).await.unwrap();
        assert_eq!(kept.as_deref(), Some("$b"));
        let ended = here.refresh("r2", "r3", NOW).await;
        assert!(matches!(ended, Err(RefreshError::Ended)));
        let own = here.change_password(account, epoch + 1, "$d", NOW).await;
        assert!(own.unwrap());
    }
}
