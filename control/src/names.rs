//! What people and machines may call things; checked where it comes in, so that nothing further in has to.

use std::collections::{BTreeMap, HashMap};

use cmdop_proto::limits::MAX_NAME;
use cmdop_proto::{LoginId, MachineId, Refusal, text};

/// Labels of one machine.
pub(crate) const MAX_LABELS: usize = 64;

/// The longest public key, certificate request or address that is looked at.
pub(crate) const MAX_PEM: usize = 8 << 10;

/// A workspace's name.
pub(crate) fn workspace(name: &str) -> Result<&str, Refusal> {
    if text::is_name(name) {
        return Ok(name);
    }
    Err(bad_name("a workspace", name))
}

/// An account's name: as a hostname's, and `@` and `+`, so that an e-mail address is one.
pub(crate) fn account(name: &str) -> Result<&str, Refusal> {
    if is_account(name) {
        return Ok(name);
    }
    Err(bad_name("an account", name))
}

/// Whether `name` can be an account's.
pub(crate) fn is_account(name: &str) -> bool {
    text::is_name(&name.replace(['@', '+'], "-"))
}

/// A machine's hostname. Not one that reads as an id: machines are named by either, and a name could
/// stand for the machine that has that id.
pub(crate) fn machine(name: &str) -> Result<&str, Refusal> {
    if name.parse::<MachineId>().is_ok() {
        return Err(Refusal::invalid(
            "bad-request",
            format!("`{name}` cannot be the name of a machine: it reads as the id of one"),
        )
        .hint("choose another name (--hostname NAME)"));
    }
    if text::is_hostname(name) {
        return Ok(name);
    }
    Err(Refusal::invalid(
        "bad-request",
        format!("`{}` is not a hostname", text::shown(name, MAX_NAME)),
    )
    .hint("letters, digits, `-`, `_` and `.`, at most 253, beginning and ending with a letter or digit"))
}

/// The labels of a machine.
pub(crate) fn labels(labels: HashMap<String, String>) -> Result<BTreeMap<String, String>, Refusal> {
    if labels.len() > MAX_LABELS {
        return Err(Refusal::invalid(
            "bad-request",
            format!(
                "{} labels are more than the {MAX_LABELS} that a machine may have",
                labels.len()
            ),
        ));
    }
    for (key, value) in &labels {
        label_key(key)?;
        if value.len() > MAX_NAME || text::shown(value, MAX_NAME) != *value {
            return Err(Refusal::invalid(
                "bad-request",
                format!(
                    "the value of the label `{key}` is not plain text of at most {MAX_NAME} bytes"
                ),
            ));
        }
    }
    Ok(labels.into_iter().collect())
}

/// A fleet's name.
pub(crate) fn fleet(name: &str) -> Result<&str, Refusal> {
    if text::is_name(name) {
        return Ok(name);
    }
    Err(bad_name("a fleet", name))
}

/// A schedule's name. Not one that reads as an id: schedules are named by either.
pub(crate) fn schedule(name: &str) -> Result<&str, Refusal> {
    if text::is_name(name) && name.parse::<LoginId>().is_err() {
        return Ok(name);
    }
    Err(bad_name("a schedule", name))
}

/// What somebody calls an API key: as a name.
pub(crate) fn key(name: &str) -> Result<&str, Refusal> {
    if text::is_name(name) {
        return Ok(name);
    }
    Err(bad_name("an API key", name))
}

/// A label's key: as a name, and `/`.
pub(crate) fn label_key(key: &str) -> Result<&str, Refusal> {
    if text::is_name(&key.replace('/', "-")) {
        return Ok(key);
    }
    Err(bad_name("a label", key))
}

/// A word that a machine says of itself, such as its processor: kept short and harmless.
pub(crate) fn word(text: &str) -> String {
    text::shown(text, MAX_NAME)
}

fn bad_name(what: &str, name: &str) -> Refusal {
    Refusal::invalid(
        "bad-request",
        format!("`{}` cannot be the name of {what}", text::shown(name, MAX_NAME)),
    )
    .hint("letters, digits, `-`, `_` and `.`, at most 64, beginning and ending with a letter or digit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_e_mail_address_can_be_an_account() {
        assert!(account("ada+ops@example.org").is_ok());
        for bad in ["", "a b", "<script>", "ada@", "a\u{202e}b"] {
            assert!(account(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_machine_is_not_named_as_another_one_is_numbered() {
        let id = MachineId::new().to_string();
        for name in [id.clone(), id.to_uppercase(), id.replace('-', "")] {
            let refusal = machine(&name).unwrap_err();
            assert!(refusal.message.contains("reads as the id"), "{refusal}");
        }
        assert!(machine(&format!("web-{id}")).is_ok());
    }

    #[test]
    fn labels_are_bounded_and_plain() {
        let one = |key: &str, value: &str| labels(HashMap::from([(key.into(), value.into())]));
        assert!(one("site/rack", "b 12").is_ok());
        assert!(one("site", "\x1b[2J").is_err());
        assert!(one("site", &"x".repeat(65)).is_err());
        let many = (0..=MAX_LABELS).map(|n| (format!("k{n}"), String::new()));
        assert!(labels(many.collect()).is_err());
    }
}
