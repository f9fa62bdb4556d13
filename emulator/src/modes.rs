//! The modes of a terminal that its users have to honour: they shape keys, mouse and pastes.

/// Which mouse events the program wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MouseMode {
    /// None.
    #[default]
    None,
    /// Presses only (mode 9).
    Press,
    /// Presses and releases (mode 1000).
    PressRelease,
    /// Also motion while a button is held (mode 1002).
    ButtonMotion,
    /// Also motion without a button (mode 1003).
    AnyMotion,
}

/// How mouse events are to be encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MouseEncoding {
    /// One byte per coordinate: `CSI M Cb Cx Cy`.
    #[default]
    Default,
    /// Coordinates as UTF-8 (mode 1005).
    Utf8,
    /// `CSI < Cb ; Cx ; Cy M` (mode 1006).
    Sgr,
    /// `CSI Cb ; Cx ; Cy M` (mode 1015).
    Urxvt,
    /// As `Sgr`, in pixels (mode 1016).
    SgrPixels,
}

/// The cursor's look, as DECSCUSR numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CursorShape {
    /// Whatever the user prefers (0).
    #[default]
    Default,
    /// Blinking block (1).
    BlinkingBlock,
    /// Steady block (2).
    Block,
    /// Blinking underline (3).
    BlinkingUnderline,
    /// Steady underline (4).
    Underline,
    /// Blinking bar (5).
    BlinkingBar,
    /// Steady bar (6).
    Bar,
}

/// The modes in force. Two equal `Modes` treat the same input alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a mode of its own in the standard"
)]
pub struct Modes {
    /// Arrow keys send `ESC O A` (DECCKM).
    pub application_cursor: bool,
    /// The keypad sends application codes (DECKPAM).
    pub application_keypad: bool,
    /// Pastes are to be put between `CSI 200~` and `CSI 201~` (mode 2004).
    pub bracketed_paste: bool,
    /// Which mouse events to send.
    pub mouse: MouseMode,
    /// How to encode them.
    pub mouse_encoding: MouseEncoding,
    /// The wheel is to send arrow keys on the alternate screen (mode 1007).
    pub alternate_scroll: bool,
    /// Focus changes are to be sent as `CSI I` and `CSI O` (mode 1004).
    pub focus_events: bool,
    /// The alternate screen is shown.
    pub alternate_screen: bool,
    /// A frame is being drawn: better not show the screen until it is done (mode 2026).
    pub synchronized: bool,
    /// The flags of the kitty keyboard protocol in force, 0 to 31.
    pub kitty_keyboard: u8,
    /// xterm's modifyOtherKeys level, 0 to 2.
    pub modify_other_keys: u8,
    /// Printing inserts instead of replacing (IRM).
    pub insert: bool,
    /// Printing past the last column goes on in the next row (DECAWM).
    pub autowrap: bool,
    /// Rows are counted from the scroll region's top (DECOM).
    pub origin: bool,
    /// The cursor is shown (DECTCEM).
    pub cursor_visible: bool,
    /// The cursor's look.
    pub cursor_shape: CursorShape,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            application_cursor: false,
            application_keypad: false,
            bracketed_paste: false,
            mouse: MouseMode::None,
            mouse_encoding: MouseEncoding::Default,
            alternate_scroll: false,
            focus_events: false,
            alternate_screen: false,
            synchronized: false,
            kitty_keyboard: 0,
            modify_other_keys: 0,
            insert: false,
            autowrap: true,
            origin: false,
            cursor_visible: true,
            cursor_shape: CursorShape::Default,
        }
    }
}

impl MouseMode {
    /// The DEC private mode that switches this on; `None` has no number.
    pub(crate) fn number(self) -> Option<u16> {
        match self {
            Self::None => None,
            Self::Press => Some(9),
            Self::PressRelease => Some(1000),
            Self::ButtonMotion => Some(1002),
            Self::AnyMotion => Some(1003),
        }
    }

    pub(crate) fn from_number(number: u16) -> Option<Self> {
        [
            Self::Press,
            Self::PressRelease,
            Self::ButtonMotion,
            Self::AnyMotion,
        ]
        .into_iter()
        .find(|mode| mode.number() == Some(number))
    }
}

impl MouseEncoding {
    /// The DEC private mode that switches this on; the default has no number.
    pub(crate) fn number(self) -> Option<u16> {
        match self {
            Self::Default => None,
            Self::Utf8 => Some(1005),
            Self::Sgr => Some(1006),
            Self::Urxvt => Some(1015),
            Self::SgrPixels => Some(1016),
        }
    }

    pub(crate) fn from_number(number: u16) -> Option<Self> {
        [Self::Utf8, Self::Sgr, Self::Urxvt, Self::SgrPixels]
            .into_iter()
            .find(|encoding| encoding.number() == Some(number))
    }
}

impl CursorShape {
    const ALL: [Self; 7] = [
        Self::Default,
        Self::BlinkingBlock,
        Self::Block,
        Self::BlinkingUnderline,
        Self::Underline,
        Self::BlinkingBar,
        Self::Bar,
    ];

    /// DECSCUSR's number for this shape.
    pub(crate) fn number(self) -> u16 {
        self as u16
    }

    pub(crate) fn from_number(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}
