//! How many MB/s the emulator takes, and `vt100` alone for comparison.
//!
//! `cargo run --release -p cmdop-emulator --example throughput`

use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::time::Duration;

use cmdop_emulator::{Emulator, Options, QueryFilter};

const CORPUS: usize = 8 << 20;
const RUNS: usize = 5;

fn main() {
    for (rows, cols) in [(24, 80), (50, 200)] {
        println!("{rows} x {cols}, MB/s, best of {RUNS}");
        println!(
            "{:<24}{:>8}{:>8}{:>8}{:>8}",
            "", "vt100", "4 KiB", "64 KiB", "1 MiB"
        );
        for (name, corpus) in corpora(rows) {
            let reference = best(corpus.len(), || {
                let size = |cells| NonZeroU16::new(cells).unwrap_or(NonZeroU16::MIN);
                let mut parser = vt100::Parser::new(size(rows), size(cols), 0);
                parser.process(&corpus);
            });
            print!("{name:<24}{reference:>8.0}");
            for chunk in [4 << 10, 64 << 10, 1 << 20] {
                let speed = best(corpus.len(), || {
                    let mut emulator = Emulator::new(rows, cols, Options::default());
                    for bytes in corpus.chunks(chunk) {
                        emulator.feed(bytes);
                    }
                });
                print!("{speed:>8.0}");
            }
            println!();
        }
    }
    for (name, corpus) in corpora(24) {
        let speed = best(corpus.len(), || {
            let mut filter = QueryFilter::new();
            for bytes in corpus.chunks(64 << 10) {
                std::hint::black_box(filter.filter(bytes));
            }
        });
        println!("query filter, {name:<24}{speed:>8.0}");
    }
    let mut emulator = Emulator::new(50, 200, Options::default());
    emulator.feed(&corpora(50)[1].1);
    for lines in [0, 1000, 10_000] {
        let mut bytes = 0;
        let time = fastest(|| bytes = emulator.snapshot(lines).bytes.len());
        println!("snapshot with {lines:>5} lines: {time:?}, {bytes} bytes");
    }
}

fn corpora(rows: u16) -> [(&'static str, Vec<u8>); 6] {
    let repeat = |text: &str| text.repeat(CORPUS / text.len() + 1).into_bytes();
    let mut colour = String::new();
    for index in 0..40 {
        let _ = write!(
            colour,
            "drwxr-xr-x 2 user user 4096 Jan  1 00:00 \x1b[01;34mfolder-{index}\x1b[0m\r\n"
        );
        let _ = write!(
            colour,
            "-rwxr-xr-x 1 user user  812 Jan  1 00:00 \x1b[01;32mscript-{index}.sh\x1b[0m*\r\n"
        );
    }
    let mut columns = String::new();
    for index in 0..40 {
        let _ = write!(
            columns,
            "\x1b[0m\x1b[01;34mbin{index}\x1b[0m\t\x1b[30;42mtmp\x1b[0m\tREADME.md\r\n"
        );
    }
    let mut redraw = String::new();
    for frame in 0..20 {
        redraw.push_str("\x1b[H");
        for row in 1..=rows {
            let _ = write!(
                redraw,
                "\x1b[{row};1H\x1b[3{}m{frame:>6}\x1b[0m \x1b[1mroot\x1b[0m  {row:>4}.1  0.5  \x1b[32m||||||\x1b[0m process --with args\x1b[K",
                frame % 8
            );
        }
    }
    [
        (
            "plain lines",
            repeat(
                "The quick brown fox jumps over the lazy dog; 0123456789 lorem ipsum dolor sit\r\n",
            ),
        ),
        ("ls -l --color", repeat(&colour)),
        ("ls --color with tabs", repeat(&columns)),
        (
            "CJK",
            repeat("你好世界这是一个终端性能测试数据流用于比较解析器速度快慢差异大小写\r\n"),
        ),
        ("full-screen redraw", repeat(&redraw)),
        ("one endless line", repeat("0123456789")),
    ]
}

/// MB/s of the fastest run.
fn best(bytes: usize, run: impl FnMut()) -> f64 {
    bytes as f64 / 1e6 / fastest(run).as_secs_f64()
}

#[allow(clippy::disallowed_methods, reason = "it measures time")]
fn fastest(mut run: impl FnMut()) -> Duration {
    let time = |run: &mut dyn FnMut()| {
        let start = std::time::Instant::now();
        run();
        start.elapsed()
    };
    (0..RUNS).map(|_| time(&mut run)).min().unwrap_or_default()
}
