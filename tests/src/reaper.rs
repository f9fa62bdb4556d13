//! The last safety: when the test process dies in any way, its programs die too.
//!
//! A small shell process waits on a pipe that only the test holds open. When the pipe closes
//! without a farewell, it kills every process that carries the world's mark in its environment.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

/// The environment variable that all processes of a world carry.
pub const MARK: &str = "CMDOP_TEST_WORLD";

const SCRIPT: &str = r#"
read -r farewell && exit 0
for file in $(grep -lsz "^CMDOP_TEST_WORLD=$0\$" /proc/[0-9]*/environ); do
    pid=${file#/proc/}; pid=${pid%/environ}
    [ "$pid" = $$ ] || kill -KILL "$pid" 2>/dev/null
done
"#;

/// Ends the processes of one world if nobody else does.
#[derive(Debug)]
pub struct Reaper {
    mark: String,
    child: Child,
}

impl Reaper {
    /// Watches over the processes that carry `mark`.
    pub fn start(mark: &str) -> Self {
        use std::os::unix::process::CommandExt as _;
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, mark])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell");
        Self {
            mark: mark.to_owned(),
            child,
        }
    }

    /// The processes that carry the mark and live, other than the test itself.
    pub fn marked(&self) -> Vec<u32> {
        let wanted = format!("{MARK}={}", self.mark);
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| *pid != std::process::id() && is_marked(*pid, &wanted))
            .collect()
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        for pid in self.marked() {
            crate::process::signal(pid, rustix::process::Signal::KILL);
        }
        if let Some(mut stdin) = self.child.stdin.take() {
            let _ = stdin.write_all(b"farewell\n");
        }
        let _ = self.child.wait();
    }
}

/// A zombie has no environment left, so the dead do not count.
fn is_marked(pid: u32, wanted: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    })
}
