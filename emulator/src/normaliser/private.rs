//! Modes of DEC, xterm and kitty.

use super::Normaliser;
use super::csi::number;
use crate::modes::{CursorShape, MouseEncoding, MouseMode};

/// How many keyboard flags may be pushed per screen; the oldest give way, as the protocol says.
const MAX_KITTY: usize = 16;

/// The flags that the kitty keyboard protocol defines.
const KITTY_FLAGS: u16 = 0b1_1111;

impl Normaliser {
    pub(super) fn private_modes(&mut self, params: &vte::Params, on: bool) {
        for group in params {
            if let &[mode] = group {
                self.private_mode(mode, on);
            }
        }
    }

    fn private_mode(&mut self, mode: u16, on: bool) {
        match mode {
            1 => self.modes.application_cursor = on,
            6 => {
                self.modes.origin = on;
                self.go(0, 0);
            }
            7 => self.modes.autowrap = on,
            25 => self.modes.cursor_visible = on,
            47 | 1047 if on => self.show_alternate(),
            47 | 1047 => self.show_main(),
            66 => self.modes.application_keypad = on,
            1004 => self.modes.focus_events = on,
            1007 => self.modes.alternate_scroll = on,
            1048 if on => self.save_cursor(),
            1048 => self.restore_cursor(),
            1049 if on => {
                if !self.modes.alternate_screen {
                    self.save_cursor();
                    self.show_alternate();
                }
            }
            1049 => {
                self.show_main();
                self.restore_cursor();
            }
            2004 => self.modes.bracketed_paste = on,
            2026 => self.modes.synchronized = on,
            _ => self.mouse_mode(mode, on),
        }
    }

    fn mouse_mode(&mut self, mode: u16, on: bool) {
        if let Some(mouse) = MouseMode::from_number(mode) {
            if on {
                self.modes.mouse = mouse;
            } else if self.modes.mouse == mouse {
                self.modes.mouse = MouseMode::None;
            }
        } else if let Some(encoding) = MouseEncoding::from_number(mode) {
            if on {
                self.modes.mouse_encoding = encoding;
            } else if self.modes.mouse_encoding == encoding {
                self.modes.mouse_encoding = MouseEncoding::Default;
            }
        }
    }

    pub(super) fn cursor_shape(&mut self, shape: u16) {
        if let Some(shape) = CursorShape::from_number(shape) {
            self.modes.cursor_shape = shape;
        }
    }

    /// `CSI > 4 ; level m`; without a level, or without anything, it is reset.
    pub(super) fn modify_other_keys(&mut self, params: &vte::Params) {
        if matches!(number(params, 0, 0), 0 | 4) {
            self.modes.modify_other_keys = number(params, 1, 0).min(2) as u8;
        }
    }

    /// Sets (`=`), pushes (`>`) or pops (`<`) flags of the screen that is shown.
    pub(super) fn kitty_keyboard(&mut self, params: &vte::Params, mark: u8) {
        let stack = &mut self.kitty[usize::from(self.modes.alternate_screen)];
        let flags = (number(params, 0, 0) & KITTY_FLAGS) as u8;
        match mark {
            b'>' => {
                if stack.len() > MAX_KITTY {
                    stack.remove(1);
                }
                stack.push(flags);
            }
            b'<' => {
                let left = stack
                    .len()
                    .saturating_sub(usize::from(number(params, 0, 1)));
                stack.truncate(left);
                if stack.is_empty() {
                    stack.push(0);
                }
            }
            _ => {
                if let Some(top) = stack.last_mut() {
                    match number(params, 1, 1) {
                        2 => *top |= flags,
                        3 => *top &= !flags,
                        _ => *top = flags,
                    }
                }
            }
        }
        self.modes.kitty_keyboard = *stack.last().unwrap_or(&0);
    }

    /// What DECRQM says about a private mode: 1 set, 2 reset, 0 not known.
    pub(super) fn private_mode_report(&self, mode: u16) -> u16 {
        let modes = &self.modes;
        let on = match mode {
            1 => modes.application_cursor,
            6 => modes.origin,
            7 => modes.autowrap,
            25 => modes.cursor_visible,
            47 | 1047 | 1049 => modes.alternate_screen,
            66 => modes.application_keypad,
            1004 => modes.focus_events,
            1007 => modes.alternate_scroll,
            2004 => modes.bracketed_paste,
            2026 => modes.synchronized,
            _ => {
                let mouse = MouseMode::from_number(mode).map(|mouse| mouse == modes.mouse);
                let encoding = MouseEncoding::from_number(mode)
                    .map(|encoding| encoding == modes.mouse_encoding);
                match mouse.or(encoding) {
                    Some(on) => on,
                    None => return 0,
                }
            }
        };
        if on { 1 } else { 2 }
    }
}
