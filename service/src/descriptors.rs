//! How many files this process may have open: as many as the system lets it, where a program starts with
//! a few for the sake of others (select(2) and its 1024).

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit to the hard one. A system that refuses leaves it as it is.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        let _ = BEFORE.set(limit);
    }
}

/// The soft limit that this process was started with, if it raised it; a limit that is none is absent.
pub fn limit_before() -> Option<u64> {
    BEFORE.get().and_then(|before| before.current)
}

/// Learns from the process that started this one, and had raised the limit, what it was before.
pub fn inherit_limit_before(soft: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(maximum.map_or(soft, |maximum| soft.min(maximum)));
    let _ = BEFORE.set(Rlimit { current, maximum });
}

/// Gives a child the limit that this process was started with.
pub fn restore_limit_of(child: Pid) {
    if let Some(before) = BEFORE.get() {
        let before = Rlimit {
            current: before.current,
            maximum: before.maximum,
        };
        let _ = prlimit(Some(child), Resource::Nofile, before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_a_child_has_the_old_one() {
        raise_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, now.maximum);
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(child.id() as i32).unwrap();
        restore_limit_of(pid);
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let soft = line.unwrap().split_whitespace().nth(3).unwrap();
        let before = BEFORE.get().unwrap().current;
        assert_eq!(
            soft,
            before.map_or("unlimited".into(), |soft| soft.to_string())
        );
    }
}
