//! What the agent was asked for and owes to callers who wait: each question has a number, each answer
//! names one.
//!
//! A question that is not answered on the stream on which it was asked is not answered at all.

use std::collections::HashMap;

use cmdop_proto::Refusal;
use tokio::sync::oneshot;

/// Questions of one kind that may be under way at once for one session.
const MOST: usize = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct Owed<T> {
    waiting: HashMap<u64, oneshot::Sender<T>>,
    asked: u64,
}

impl<T> Default for Owed<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            asked: 0,
        }
    }
}

impl<T> Owed<T> {
    /// The number of another question about `what`, and where its answer comes.
    pub(crate) fn ask(&mut self, what: &str) -> Result<(u64, oneshot::Receiver<T>), Refusal> {
        // Those who waited too long have left.
        self.waiting.retain(|_, waiting| !waiting.is_closed());
        if self.waiting.len() >= MOST {
            return Err(Refusal::exhausted(
                &format!("too-many-{what}"),
                format!("{MOST} {what} of the session are under way already"),
            ));
        }
        self.asked += 1;
        let (answer, wait) = oneshot::channel();
        self.waiting.insert(self.asked, answer);
        Ok((self.asked, wait))
    }

    /// An answer came, to whichever question. Whoever asked may have left.
    pub(crate) fn came(&mut self, number: u64, answer: T) {
        if let Some(waiting) = self.waiting.remove(&number) {
            let _ = waiting.send(answer);
        }
    }

    /// Nobody waits for that answer any more.
    pub(crate) fn withdraw(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// No answer comes any more; whoever waits hears of it.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_reaches_the_one_who_asked_for_it_and_questions_are_bounded() {
        let mut owed = Owed::default();
        let mut asked: Vec<_> = (0..MOST).map(|_| owed.ask("pages").unwrap()).collect();
        assert_eq!(owed.ask("pages").unwrap_err().reason, "too-many-pages");
        let (number, mut wait) = asked.remove(3);
        owed.came(number, "four");
        owed.came(number, "again");
        owed.came(999, "nobody");
        assert_eq!(wait.try_recv(), Ok("four"));
        let (_, mut wait) = owed.ask("pages").unwrap();
        owed.clear();
        wait.try_recv().unwrap_err();
        // Who left makes room.
        drop(
            (0..MOST)
                .map(|_| owed.ask("pages").unwrap())
                .collect::<Vec<_>>(),
        );
        owed.ask("pages").unwrap();
    }
}
