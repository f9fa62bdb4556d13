//! What can be guessed and how fast: for each kind of secret that a person types, what its guesses are counted by.
//!
//! An owner mistypes a few times and is let in; a program is slowed down at once, and even thousands of them do
//! not lock an owner out for longer than a rule's longest wait.

use std::time::Duration;

use cmdop_proto::AccountId;
use cmdop_service::serve::Peer;

use crate::plane::ControlPlane;
use crate::store::{self, BackOff, Guess};
use crate::throttle::neighbourhood;

const QUARTER: Duration = Duration::from_secs(15 * 60);

/// What is guessed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Guessable {
    /// The password of whoever has this name, if anybody has: who guesses does not learn that.
    Password(String),
    /// A code of an account's second factor, or one of its recovery codes.
    SecondFactor(AccountId),
    /// User codes of devices, tried by an account.
    UserCode(AccountId),
}

impl Guessable {
    /// What it is counted under.
    pub(crate) fn subject(&self) -> String {
        match self {
            Self::Password(name) => format!("password/{}", name.to_lowercase()),
            Self::SecondFactor(account) => format!("second-factor/{account}"),
            Self::UserCode(account) => format!("user-code/{account}"),
        }
    }

    /// From one network, and from everywhere.
    fn rules(&self) -> (BackOff, BackOff) {
        let rule = |free, longest| BackOff { free, longest };
        match self {
            // Strangers with many addresses can make an owner wait a few seconds, again and again, and no more.
            Self::Password(_) => (rule(5, QUARTER), rule(50, Duration::from_secs(4))),
            // Who gets here knows the password: a code of a million, three of which are right.
            Self::SecondFactor(_) => (rule(5, QUARTER), rule(10, 4 * QUARTER)),
            Self::UserCode(_) => (rule(10, QUARTER), rule(30, QUARTER)),
        }
    }
}

impl ControlPlane {
    /// Somebody guesses. Nothing if they may; else how long to wait. A guess counts as wrong until
    /// [`ControlPlane::guessed_right`] is told otherwise.
    pub(crate) async fn guess(
        &self,
        secret: &Guessable,
        peer: Peer,
    ) -> Result<Option<Duration>, store::Error> {
        let (subject, source) = (secret.subject(), neighbourhood(peer.0.ip()));
        let guess = guess(secret, &subject, &source);
        self.store.guess(guess, self.clock.now_ms()).await
    }

    /// The guess was right: nothing counts any more. A user code that is right is only not counted itself, for
    /// everybody can have one made.
    pub(crate) async fn guessed_right(
        &self,
        secret: &Guessable,
        peer: Peer,
    ) -> Result<(), store::Error> {
        let (subject, source) = (secret.subject(), neighbourhood(peer.0.ip()));
        let guess = guess(secret, &subject, &source);
        match secret {
            Guessable::UserCode(_) => self.store.take_back(guess).await,
            Guessable::Password(_) | Guessable::SecondFactor(_) => {
                self.store.was_right(guess).await
            }
        }
    }
}

fn guess<'a>(secret: &Guessable, subject: &'a str, source: &'a str) -> Guess<'a> {
    let (from_one, from_all) = secret.rules();
    Guess {
        subject,
        source,
        from_one,
        from_all,
    }
}

/// What counts against an account: what an administrator lifts.
pub(crate) fn subjects_of(name: &str, account: AccountId) -> [String; 3] {
    [
        Guessable::Password(name.to_owned()),
        Guessable::SecondFactor(account),
        Guessable::UserCode(account),
    ]
    .map(|secret| secret.subject())
}
