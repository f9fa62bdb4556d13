//! Who is compared: each gives a command for a shell on a terminal and one for a single program.

use cmdop_tests::{World, binaries};

use crate::link::Link;
use crate::sshd::Sshd;
use crate::terminal::Terminal;

/// One way to a shell.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Its column in the table.
    pub(crate) name: &'static str,
    shell: Vec<String>,
    exec: Vec<String>,
    env: Vec<(String, String)>,
}

impl Candidate {
    /// A local terminal as the floor, ssh if there is one, and cmdop.
    pub(crate) fn all(world: &World, sshd: Option<&Sshd>) -> Vec<Self> {
        let mut all = vec![Self {
            name: "local",
            shell: words(&["/bin/sh"]),
            exec: Vec::new(),
            env: vec![("PS1".into(), "$ ".into())],
        }];
        if let Some(sshd) = sshd {
            let ssh = sshd.command();
            all.push(Self {
                name: "ssh",
                shell: [&ssh[..], &words(&["-tt", "bench", "/bin/sh"])].concat(),
                exec: [&ssh[..], &words(&["bench"])].concat(),
                env: Vec::new(),
            });
        }
        let cmdop = binaries::path("cmdop").display().to_string();
        all.push(Self {
            name: "cmdop",
            shell: words(&[&cmdop, "new", "web-1", "--", "/bin/sh"]),
            exec: words(&[&cmdop, "exec", "web-1", "--"]),
            env: world.owner.cli.env().to_vec(),
        });
        all
    }

    /// A shell that has shown its prompt.
    pub(crate) fn shell(&self) -> Terminal {
        let mut terminal = Terminal::start(&self.shell, &self.env);
        // Whatever the prompt is, and whatever is drawn before it.
        terminal.write(b"stty cols 80 rows 24; echo begun-$((1 + 1))\r");
        terminal.read_until(b"begun-2");
        terminal
    }

    /// Runs `program` once, and waits for it.
    pub(crate) fn run(&self, program: &str) {
        let mut words = self.exec.clone();
        words.push(program.into());
        let status = std::process::Command::new(&words[0])
            .args(&words[1..])
            .envs(self.env.iter().cloned())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .status()
            .expect("the candidate starts");
        assert!(status.success(), "{} cannot run {program}", self.name);
    }
}

/// A shell on a machine whose agent is behind a narrow link; its client is beside the relay.
#[derive(Debug)]
pub(crate) struct Uplink {
    pub(crate) candidates: Vec<Candidate>,
    _link: Link,
}

impl Uplink {
    pub(crate) async fn start(world: &mut World) -> Self {
        let link = Link::to(world.relay.address());
        let url = format!("https://{}", link.address);
        let machine = world.enroll_machine("far", &[]).await;
        machine.use_relay(&url);
        machine.run().await;
        let cmdop = binaries::path("cmdop").display().to_string();
        let candidates = vec![Candidate {
            name: "cmdop",
            shell: words(&[&cmdop, "new", "far", "--", "/bin/sh"]),
            exec: Vec::new(),
            env: world.owner.cli.env().to_vec(),
        }];
        Self {
            candidates,
            _link: link,
        }
    }
}

/// The same ways to a shell, behind a narrow link.
#[derive(Debug)]
pub(crate) struct Narrow {
    pub(crate) candidates: Vec<Candidate>,
    _links: Vec<Link>,
}

impl Narrow {
    pub(crate) async fn start(world: &World, sshd: Option<&Sshd>) -> Self {
        let account = world.add_account("far", "admin").await;
        let link = Link::to(world.relay.address());
        account.use_relay(&format!("https://{}", link.address));
        let mut links = vec![link];
        let cmdop = binaries::path("cmdop").display().to_string();
        let mut candidates = vec![Candidate {
            name: "cmdop",
            shell: words(&[&cmdop, "new", "web-1", "--", "/bin/sh"]),
            exec: Vec::new(),
            env: account.cli.env().to_vec(),
        }];
        if let Some(sshd) = sshd {
            let link = Link::to(sshd.address());
            let port = link.address.port().to_string();
            links.push(link);
            let shell = words(&["-p", &port, "-tt", "bench", "/bin/sh"]);
            candidates.push(Candidate {
                name: "ssh",
                shell: [sshd.command(), shell].concat(),
                exec: Vec::new(),
                env: Vec::new(),
            });
        }
        Self {
            candidates,
            _links: links,
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
