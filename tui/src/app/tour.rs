//! What a newcomer is shown at the first start: one thing at a time, in a corner, while everything
//! works. Doing it leads to the next.

use super::model::Model;
use crate::keymap::tables::{FLEET, PREFIX};
use crate::keymap::{Action, Verb};

/// The steps: what leads on, and what is said.
const STEPS: &[(Verb, &str)] = &[
    (
        Verb::SplitRight,
        "This is a live shell. {} puts another beside it.",
    ),
    (
        Verb::FocusLeft,
        "{} goes to the pane on that side; so does a click.",
    ),
    (
        Verb::NewTab,
        "{} opens a tab; {prefix} and its number shows it.",
    ),
    (Verb::ShowFleet, "{} shows all machines and sessions."),
    (
        Verb::ShowTabs,
        "Enter opens what is selected, o only watches it. {} goes back.",
    ),
    (
        Verb::Palette,
        "{} finds everything there is to do, every machine and session, by name.",
    ),
    (
        Verb::Help,
        "{} lists the keys. Every other key is the program's.",
    ),
    (
        Verb::Detach,
        "{} leaves: the shells live on, whatever happens to this terminal.",
    ),
];

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tour {
    step: usize,
}

impl Tour {
    /// Something was done: if it is what this step is about, the next one comes. `None`: that was all.
    pub(super) fn after(self, action: &Action) -> Option<Self> {
        let (verb, _) = STEPS.get(self.step)?;
        let is_it = match (action, verb) {
            (Action::Do(Verb::FocusRight | Verb::FocusUp | Verb::FocusDown), Verb::FocusLeft)
            | (Action::Do(Verb::SplitDown), Verb::SplitRight)
            | (Action::Do(Verb::Open | Verb::Watch), Verb::ShowTabs) => true,
            (Action::Do(done), verb) => done == verb,
            _ => false,
        };
        let step = self.step + usize::from(is_it);
        (step < STEPS.len()).then_some(Self { step })
    }

    /// What is said now, and how far one is.
    pub fn said(self, model: &Model) -> (String, String) {
        let keymap = &model.setup.config.keymap;
        let (verb, text) = STEPS[self.step.min(STEPS.len() - 1)];
        let table = if verb == Verb::ShowTabs {
            FLEET
        } else {
            PREFIX
        };
        let keys = keymap
            .keys_of(table, &verb.into())
            .unwrap_or_else(|| verb.id().to_owned());
        let prefix = keymap.prefix().to_string();
        let text = text.replace("{}", &keys).replace("{prefix}", &prefix);
        let place = format!("{} of {}", self.step + 1, STEPS.len());
        (text, place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;

    #[test]
    fn doing_what_is_said_leads_on_and_anything_else_does_not() {
        let mut client = Client::new(80, 24).with_fleet().with_build();
        client.model.tour = Some(Tour::default());
        assert!(
            client.text().contains("C-b % puts another"),
            "{}",
            client.text()
        );
        client.done("C-b z");
        assert!(client.text().contains("1 of 8"));
        client.done("C-b \"");
        assert!(client.text().contains("2 of 8"));
        client.done("C-b Up C-b c C-b D Tab C-b : Esc C-b ?");
        client.done("Esc");
        assert!(client.text().contains("8 of 8"), "{}", client.text());
        // The way out that is always there.
        client.done("C-b Esc");
        assert_eq!(client.model.tour, None);
    }
}
