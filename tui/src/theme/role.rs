//! What there is to style: meanings, never places or colours.

use serde::Deserialize;

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A meaning that a theme gives a style.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Role {
            $($(#[$doc])* $name,)*
        }

        impl Role {
            /// Every role, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

roles! {
    /// Plain text.
    Text,
    /// What may be overlooked.
    Muted,
    /// The frame of a part that does not have the keys.
    Border,
    /// The frame of the part that has the keys.
    BorderFocused,
    /// The title in a frame.
    Title,
    /// The headings of a list's columns.
    Heading,
    /// The selected row, where keys go to the list.
    Selected,
    /// The selected row, where keys go elsewhere.
    SelectedUnfocused,
    /// A machine that is there, a session that is live.
    Online,
    /// A machine not heard of for too long, a session in its grace period.
    Stale,
    /// A machine that is away, a session that is over.
    Offline,
    /// A value worth a look.
    Warn,
    /// A value that needs somebody.
    Critical,
    /// The status bar.
    Status,
    /// The word in the status bar that says where keys go.
    Mode,
    /// A mark that must not be overlooked: OBSERVER, PREFIX.
    Badge,
    /// A message.
    Toast,
    /// A message about something that failed.
    ToastError,
    /// A question.
    Dialog,
    /// The name of a key.
    Key,
    /// What is selected to be copied.
    Selection,
    /// What was searched for.
    SearchHit,
    /// What was searched for, where the cursor is.
    SearchCurrent,
}
