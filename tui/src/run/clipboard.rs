//! Putting text into the clipboard: what is known of this machine, and programs that are given it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::copy::clipboard::{Facts, Tool};

/// A program that takes longer than this to take a text takes none.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the environment says; `variable` looks one up.
pub(super) fn facts(variable: impl Fn(&str) -> Option<String>) -> Facts {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let path = variable("PATH").unwrap_or_default();
    let is_there = |tool: &Tool| {
        let program = tool.command()[0];
        std::env::split_paths(&path).any(|directory: std::path::PathBuf| {
            !directory.as_os_str().is_empty() && is_program(&directory.join(program))
        })
    };
    Facts {
        has_wayland: is_set("WAYLAND_DISPLAY"),
        has_x11: is_set("DISPLAY"),
        in_tmux: is_set("TMUX"),
        in_screen: is_set("STY"),
        over_ssh: is_set("SSH_CONNECTION") || is_set("SSH_TTY"),
        is_mac: cfg!(target_os = "macos"),
        tools: Tool::ALL.into_iter().filter(is_there).collect(),
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Gives `text` to a program. The error is a sentence for people.
pub(super) async fn give(tool: Tool, text: String) -> Result<(), String> {
    let (program, arguments) = tool.command().split_first().unwrap_or((&"", &[]));
    let failed =
        |error: std::io::Error| format!("{program} does not take what was copied: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(!tool.stays())
        .spawn()
        .map_err(failed)?;
    let mut stdin = child.stdin.take();
    let taken = async {
        if let Some(stdin) = &mut stdin {
            stdin.write_all(text.as_bytes()).await?;
            stdin.shutdown().await?;
        }
        drop(stdin);
        if tool.stays() {
            return Ok(true);
        }
        Ok::<_, std::io::Error>(child.wait().await?.success())
    };
    match tokio::time::timeout(PATIENCE, taken).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(format!("{program} did not take what was copied")),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(format!("{program} did not take what was copied in time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_comes_from_the_environment_and_from_programs_that_are_there() {
        let directory = tempfile::tempdir().unwrap();
        let tool = directory.path().join("xclip");
        std::fs::write(&tool, "#!/bin/sh\n").unwrap();
        let path = directory.path().to_str().unwrap().to_owned();
        let look = |path: String| {
            facts(move |name| match name {
                "PATH" => Some(path.clone()),
                "DISPLAY" => Some(":0".into()),
                "TMUX" => Some(String::new()),
                _ => None,
            })
        };
        assert!(
            look(path.clone()).tools.is_empty(),
            "what cannot be run is no program"
        );
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&tool, mode).unwrap();
        let known = look(path);
        assert_eq!(known.tools, [Tool::Xclip]);
        assert!(known.has_x11 && !known.in_tmux);
    }
}
