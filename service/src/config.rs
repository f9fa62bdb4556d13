//! The TOML layer of a program's configuration: flags > environment > file > defaults.
//!
//! A program has one struct for its file (`#[serde(deny_unknown_fields, rename_all = "kebab-case",
//! default)]`) and lays its flags over it. A key that nobody knows is an error that names the nearest.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Why a configuration file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file that was named does not exist or may not be read.
    #[error("cannot read the configuration file {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// It is not TOML, or a value has the wrong type, or a key is unknown.
    #[error("in the configuration file {path}: {reason}{suggestion}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        reason: String,
        /// The nearest known key, as half a sentence.
        suggestion: String,
    },
}

/// Reads `path`; without one, the defaults.
pub fn load<T: DeserializeOwned + Default>(path: Option<&Path>) -> Result<T, Error> {
    let Some(path) = path else {
        return Ok(T::default());
    };
    let text = std::fs::read_to_string(path).map_err(|reason| Error::Read {
        path: path.to_owned(),
        reason,
    })?;
    parse(path, &text)
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|error| Error::Parse {
        path: path.to_owned(),
        suggestion: suggestion(error.message()),
        reason: error.to_string().trim_end().to_owned(),
    })
}

/// serde says "unknown field `a`, expected one of `b`, `c`": the candidate that is nearest to `a`.
fn suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") {
        return String::new();
    }
    let Some(unknown) = quoted.next() else {
        return String::new();
    };
    quoted
        .map(|known| (strsim::osa_distance(unknown, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| format!(" (did you mean `{known}`?)"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
    struct Sample {
        listen: String,
        data_dir: Option<PathBuf>,
    }

    #[test]
    fn an_unknown_key_names_the_nearest_key() {
        let error = parse::<Sample>(Path::new("x.toml"), "lisen = \"a\"").unwrap_err();
        assert!(
            error.to_string().contains("did you mean `listen`?"),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_in_the_file_has_its_default() {
        let sample: Sample = parse(Path::new("x.toml"), "listen = \"a\"").unwrap();
        assert_eq!(sample.listen, "a");
        assert_eq!(sample.data_dir, None);
    }
}
