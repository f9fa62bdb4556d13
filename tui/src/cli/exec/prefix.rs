//! Output of many machines on one screen: whole lines, each with its host in front. Pure.

/// A line longer than this is broken: memory is not a stranger's to fill.
const MAX_LINE: usize = 64 << 10;

/// Turns one stream of one host into prefixed lines.
#[derive(Debug)]
pub(super) struct Prefixer {
    prefix: Vec<u8>,
    partial: Vec<u8>,
}

impl Prefixer {
    pub(super) fn new(host: &str) -> Self {
        Self {
            prefix: format!("{host}: ").into_bytes(),
            partial: Vec::new(),
        }
    }

    /// The lines that `data` completes; empty if there is none.
    pub(super) fn lines(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            for part in piece.chunks(MAX_LINE) {
                self.partial.extend_from_slice(part);
                if self.partial.ends_with(b"\n") || self.partial.len() >= MAX_LINE {
                    self.end_line(&mut out);
                }
            }
        }
        out
    }

    /// What is left at the end of the stream, as a line.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.partial.is_empty() {
            self.end_line(&mut out);
        }
        out
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        out.append(&mut self.partial);
        if !out.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_host_however_the_bytes_are_cut() {
        let text = b"one\ntwo\n\nlast";
        let expected = "web: one\nweb: two\nweb: \nweb: last\n";
        for cut in 0..=text.len() {
            let mut prefixer = Prefixer::new("web");
            let mut out = prefixer.lines(&text[..cut]);
            out.extend(prefixer.lines(&text[cut..]));
            out.extend(prefixer.finish());
            assert_eq!(String::from_utf8(out).unwrap(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn half_a_line_is_held_back_so_that_lines_never_mix() {
        let mut prefixer = Prefixer::new("web");
        assert_eq!(prefixer.lines(b"half"), b"");
        assert_eq!(prefixer.lines(b" a line\n"), b"web: half a line\n");
        assert_eq!(prefixer.finish(), b"");
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut prefixer = Prefixer::new("web");
        let out = prefixer.lines(&vec![b'x'; 3 * MAX_LINE + 5]);
        assert_eq!(out.split(|byte| *byte == b'\n').count() - 1, 3);
        assert_eq!(prefixer.partial.len(), 5);
    }
}
