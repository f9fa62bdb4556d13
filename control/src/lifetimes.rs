//! How long everything lives that the control plane hands out.

use std::time::Duration;

/// An access token of a person: what a relay that is cut off may still believe.
pub const ACCESS_TOKEN: Duration = Duration::from_secs(60 * 60);

/// A token of a machine or relay, which can make a new one at any time without a person.
pub const MACHINE_TOKEN: Duration = Duration::from_secs(15 * 60);

/// The longest of them: how long a revocation has to be remembered.
pub const LONGEST_TOKEN: Duration = ACCESS_TOKEN;

/// A refresh token that nobody uses; each use makes a new one.
pub const REFRESH_TOKEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A client whose answer was lost may present the same refresh token again for this long. Longer
/// would give a thief time, shorter would log out people on bad networks.
pub const REFRESH_GRACE: Duration = Duration::from_secs(10);

/// A device code, from the first page to the last click.
pub const DEVICE_CODE: Duration = Duration::from_secs(10 * 60);

/// How often a client may ask whether its device code was approved.
pub const DEVICE_INTERVAL: Duration = Duration::from_secs(2);

/// An authorization code: a browser and a program of the same computer hand it over at once.
pub const AUTHORIZATION_CODE: Duration = Duration::from_secs(60);

/// An enrolment token unless asked otherwise.
pub const ENROLL_TOKEN: Duration = Duration::from_secs(60 * 60);

/// The longest that an enrolment token may live: it lies in scripts and chat windows.
pub const LONGEST_ENROLL_TOKEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// An access token that an API key was exchanged for: its program can make a new one at any time.
pub const KEY_TOKEN: Duration = Duration::from_secs(15 * 60);

/// A token with which a run of a schedule asks a relay: it is made for each call.
pub const SCHEDULE_TOKEN: Duration = Duration::from_secs(5 * 60);

/// The record of a session after its end, unless the configuration says otherwise.
pub const SESSION_RECORD: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The shortest that the record of a session can be kept: a relay that was cut off for a while tells late.
pub const SHORTEST_SESSION_RECORD: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest that the audit log can be kept: a report that is delivered twice is known by its record.
pub const SHORTEST_AUDIT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What is dropped of an audit log that is kept for a limited time, at once: a trim is a record itself.
pub const AUDIT_TRIM: Duration = Duration::from_secs(24 * 60 * 60);

/// An invitation unless asked otherwise: a weekend.
pub const INVITATION: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// The longest that an invitation may be open.
pub const LONGEST_INVITATION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A login secret that `admin` printed.
pub const LOGIN_SECRET: Duration = Duration::from_secs(60 * 60);

/// A client assertion, from its making to its use (RFC 7523).
pub const ASSERTION: Duration = Duration::from_secs(5 * 60);

/// Being logged in on the pages: enough to approve a device, and no more.
pub const PAGE_LOGIN: Duration = Duration::from_secs(15 * 60);
