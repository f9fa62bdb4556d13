//! What an attached person is told of the keyboard, and what their keys ask for. Pure.

use cmdop_proto::text::shown;
use cmdop_proto::v1::{self, KeyboardMode, keyboard_change::Change};

use super::escape::Wish;

/// The keyboard as one attached client sees it.
#[derive(Debug)]
pub(super) struct Keyboard {
    /// This client, as others know it.
    own: String,
    now: v1::Keyboard,
}

impl Keyboard {
    pub(super) fn new(own: String) -> Self {
        Self {
            own,
            now: v1::Keyboard::default(),
        }
    }

    /// The record changed. What its person should hear, if anything.
    pub(super) fn changed(&mut self, session: &v1::Session) -> Option<String> {
        let now = session.keyboard.clone().unwrap_or_default();
        let before = std::mem::replace(&mut self.now, now);
        let now = &self.now;
        let was_exclusive = before.mode() == KeyboardMode::Exclusive;
        if now.mode() != KeyboardMode::Exclusive {
            return was_exclusive.then(|| "every operator may type now".into());
        }
        let id = |holder: &Option<v1::Typist>| holder.as_ref().map(|who| who.client_id.clone());
        if !was_exclusive || id(&before.holder) != id(&now.holder) {
            return Some(self.held());
        }
        let asked =
            |who: &&v1::Typist| !before.requests.iter().any(|b| b.client_id == who.client_id);
        let newest = now.requests.iter().rfind(asked);
        newest.filter(|_| self.is_mine()).map(|who| {
            let name = shown(&who.account_name, 64);
            format!("{name} asks for the keyboard: g after the escape key gives it")
        })
    }

    fn held(&self) -> String {
        match &self.now.holder {
            _ if self.is_mine() => "you hold the keyboard".into(),
            Some(holder) => {
                let name = shown(&holder.account_name, 64);
                format!("{name} holds the keyboard: r after the escape key asks for it")
            }
            None => "nobody holds the keyboard: t after the escape key takes it".into(),
        }
    }

    fn is_mine(&self) -> bool {
        let holder = self.now.holder.as_ref();
        holder.is_some_and(|holder| holder.client_id == self.own)
    }

    /// What a wish asks the relay for, or what its person should hear instead.
    pub(super) fn wish(&self, wish: Wish) -> Result<v1::KeyboardChange, String> {
        let change = match wish {
            Wish::Request => Change::Request(true),
            Wish::Take => Change::Take(true),
            Wish::Give => match self.now.requests.first() {
                Some(who) => Change::Give(who.client_id.clone()),
                None => return Err("nobody asked for the keyboard".into()),
            },
            Wish::Help => return Err(HELP.into()),
        };
        Ok(v1::KeyboardChange {
            change: Some(change),
        })
    }
}

/// The keys after the escape key.
const HELP: &str = "after the escape key: d detaches · r requests the keyboard · g gives it to who asked · \
                    t takes it · the escape key types itself";

#[cfg(test)]
mod tests {
    use super::*;

    fn typist(name: &str) -> v1::Typist {
        v1::Typist {
            client_id: format!("id-of-{name}"),
            account_name: name.into(),
            account_id: String::new(),
        }
    }

    fn session(holder: Option<&str>, requests: &[&str]) -> v1::Session {
        v1::Session {
            keyboard: Some(v1::Keyboard {
                mode: KeyboardMode::Exclusive.into(),
                holder: holder.map(typist),
                holder_attached: true,
                requests: requests.iter().copied().map(typist).collect(),
            }),
            ..v1::Session::default()
        }
    }

    #[test]
    fn people_hear_what_concerns_them_once() {
        let mut ada = Keyboard::new("id-of-ada".into());
        let mut bert = Keyboard::new("id-of-bert".into());
        let mut told = Vec::new();
        for record in [
            v1::Session::default(),
            session(Some("ada"), &[]),
            session(Some("ada"), &["bert"]),
            session(Some("ada"), &["bert"]),
            session(Some("bert"), &[]),
            session(None, &[]),
            v1::Session::default(),
        ] {
            let line = |who: &str, said: Option<String>| {
                format!("{who}: {}", said.unwrap_or_else(|| "-".into()))
            };
            told.push(line("ada ", ada.changed(&record)));
            told.push(line("bert", bert.changed(&record)));
        }
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn keys_ask_for_what_they_stand_for() {
        let mut ada = Keyboard::new("id-of-ada".into());
        ada.changed(&session(Some("ada"), &["bert", "cleo"]));
        let change = |wish| ada.wish(wish).unwrap().change.unwrap();
        assert_eq!(change(Wish::Give), Change::Give("id-of-bert".into()));
        assert_eq!(change(Wish::Request), Change::Request(true));
        assert_eq!(change(Wish::Take), Change::Take(true));
        assert!(Keyboard::new(String::new()).wish(Wish::Give).is_err());
        insta::assert_snapshot!(ada.wish(Wish::Help).unwrap_err());
    }
}
