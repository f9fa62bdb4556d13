# What one does every day. `just` lists it.

_list:
    @just --list --unsorted

# everything that must be green
ci:
    .ci/run

# the whole suite; arguments go to the test runner: `just test -p cmdop-relay`
test *args:
    tests/run {{args}}

# figures against the peers, in release mode
bench *args:
    cargo bench -p cmdop-tests {{args}}

# formats everything
fmt:
    cargo fmt --all

# lints as .ci/run sees them
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# manual pages from the command line's own definition
man:
    cargo run -p cmdop-tui --bin cmdop -- man man

# licences, sources, banned crates and known vulnerabilities (needs cargo-deny and the network)
deny:
    cargo deny check
