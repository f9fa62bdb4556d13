//! Operating system commands: titles, directories, notifications, clipboards, prompts, colours.

use std::sync::Arc;

use super::Normaliser;
use crate::event::{Event, MAX_NAME, Prompt, clean};
use crate::looks::Link;

impl Normaliser {
    /// `text` is an OSC without its introducer and terminator.
    pub(crate) fn osc(&mut self, text: &[u8]) {
        self.printed = None;
        let (number, rest) = split(text);
        match number {
            b"0" => {
                self.events.push(Event::IconName(clean(rest, MAX_NAME)));
                self.set_title(rest);
            }
            b"1" => self.events.push(Event::IconName(clean(rest, MAX_NAME))),
            b"2" => self.set_title(rest),
            b"7" => self.cwd(path_of(rest)),
            b"8" => {
                let (parameters, uri) = split(rest);
                self.link = Link::read(parameters, uri).map(Arc::new);
            }
            b"9" => self.notify_or_cwd(rest),
            b"10" | b"11" | b"12" if rest == b"?" => {
                self.report_color(&String::from_utf8_lossy(number), "\x1b\\");
            }
            b"52" => self.clipboard(rest),
            b"133" => self.prompt(rest),
            b"777" => self.notify(rest),
            b"1337" => {
                if let Some(path) = rest.strip_prefix(b"CurrentDir=") {
                    self.cwd(path);
                }
            }
            _ => {}
        }
    }

    fn set_title(&mut self, title: &[u8]) {
        self.title = clean(title, MAX_NAME);
        self.events.push(Event::Title(self.title.clone()));
    }

    fn cwd(&mut self, path: &[u8]) {
        let path = clean(path, MAX_NAME);
        if !path.is_empty() {
            self.events.push(Event::Cwd(path));
        }
    }

    /// OSC 9 is a notification of iTerm2, or, with a number, one of ConEmu's commands: 9;9 is
    /// the directory, 9;4 a progress bar, which is nothing to bother a person with.
    fn notify_or_cwd(&mut self, text: &[u8]) {
        match split(text) {
            (b"9", path) => self.cwd(path.trim_ascii().trim_ascii_start()),
            (number, _) if !number.is_empty() && number.iter().all(u8::is_ascii_digit) => {}
            _ => {
                let body = clean(text, MAX_NAME);
                self.events.push(Event::Notification {
                    title: String::new(),
                    body,
                });
            }
        }
    }

    fn notify(&mut self, text: &[u8]) {
        if let Some(rest) = text.strip_prefix(b"notify;") {
            let (title, body) = split(rest);
            self.events.push(Event::Notification {
                title: clean(title, MAX_NAME),
                body: clean(body, MAX_NAME),
            });
        }
    }

    /// OSC 52. To read a clipboard is never granted, so a query has no effect.
    fn clipboard(&mut self, text: &[u8]) {
        let (selection, data) = split(text);
        let known = selection
            .iter()
            .all(|letter| b"cpqs01234567".contains(letter));
        let base64 = data
            .iter()
            .all(|&b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        if known && base64 {
            self.events.push(Event::Clipboard {
                selection: clean(selection, MAX_NAME),
                data: clean(data, data.len()),
            });
        }
    }

    fn prompt(&mut self, text: &[u8]) {
        let (step, rest) = split(text);
        let prompt = match step {
            b"A" => Prompt::Start,
            b"B" => Prompt::Input,
            b"C" => Prompt::Output,
            b"D" => {
                let code = std::str::from_utf8(split(rest).0).ok();
                Prompt::End(code.and_then(|code| code.parse().ok()))
            }
            _ => return,
        };
        self.events.push(Event::Prompt(prompt));
    }
}

/// What is before and after the first semicolon.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == b';') {
        Some(place) => (&text[..place], &text[place + 1..]),
        None => (text, b""),
    }
}

/// The path in `file://host/path`.
fn path_of(url: &[u8]) -> &[u8] {
    match url.strip_prefix(b"file://") {
        Some(rest) => {
            let path = rest
                .iter()
                .position(|&byte| byte == b'/')
                .unwrap_or(rest.len());
            &rest[path..]
        }
        None => url,
    }
}
