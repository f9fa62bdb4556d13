//! The second factor: codes of six digits that change every thirty seconds (RFC 6238), and recovery codes for
//! when the device that shows them is gone. What is right is decided here; what was used before, in the store.

use cmdop_proto::AccountId;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use totp_rs::{Builder, Totp};

use crate::secret;

/// Of the secret: what RFC 4226, section 4 recommends, and what every program takes.
const SECRET: usize = 20;

/// Recovery codes that are made at once.
pub(crate) const RECOVERY_CODES: usize = 10;

/// Letters of a recovery code: 20^16 possibilities, so that a plain hash of one keeps it.
const RECOVERY_LETTERS: usize = 16;

/// What the program that shows codes calls us.
const ISSUER: &str = "cmdop";

/// A new secret.
pub(crate) fn new_secret() -> Vec<u8> {
    let mut bytes = vec![0; SECRET];
    secret::fill(&mut bytes);
    bytes
}

/// SHA-1, six digits, thirty seconds, one step to either side: what authenticators understand. Nothing if
/// the secret is none of ours.
fn totp(secret: Vec<u8>, account: &str) -> Option<Totp> {
    Builder::new()
        .with_secret(secret)
        .with_account_name(account)
        .with_issuer(Some(ISSUER))
        .build()
        .ok()
}

/// The step whose code this is, now or a step away; nothing if it is none.
pub(crate) fn step_of(secret: Vec<u8>, code: &str, now_s: i64) -> Option<u64> {
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let is_code = digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let now_s = u64::try_from(now_s).ok()?;
    totp(secret, "")?.check(is_code.then_some(digits.as_str())?, now_s)
}

/// How a secret gets into the program that shows codes.
pub(crate) struct Proposal {
    /// The address that the picture holds.
    pub uri: String,
    /// The secret to type, in groups of four.
    pub base32: String,
    /// The picture: an `svg` element.
    pub picture: String,
}

impl Proposal {
    /// For `account`; nothing if it cannot be shown.
    pub(crate) fn new(secret: Vec<u8>, account: &str) -> Option<Self> {
        let totp = totp(secret, account)?;
        let uri = totp.to_url().ok()?;
        let code = QrCode::with_error_correction_level(&uri, EcLevel::M).ok()?;
        let mut picture = code.render::<svg::Color<'_>>();
        let picture = picture.module_dimensions(5, 5).build();
        let start = picture.find("<svg")?;
        Some(Self {
            base32: in_groups(&totp.secret().to_base32()),
            picture: picture[start..].to_owned(),
            uri,
        })
    }
}

/// New recovery codes, as they are shown.
pub(crate) fn recovery_codes() -> Vec<String> {
    let code = || in_groups(&secret::letters(RECOVERY_LETTERS));
    std::iter::repeat_with(code).take(RECOVERY_CODES).collect()
}

/// What is kept of a recovery code that a person typed; nothing if it cannot be one.
pub(crate) fn recovery_hash(account: AccountId, typed: &str) -> Option<String> {
    let code = secret::read_letters(typed, RECOVERY_LETTERS)?;
    // With the account's id: the same code of another account is another hash.
    Some(secret::hash(&format!("{account}/{code}")))
}

fn in_groups(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let groups = letters.chunks(4).map(String::from_iter);
    groups.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    /// The secret of RFC 6238, appendix B.
    fn known() -> Vec<u8> {
        b"12345678901234567890".to_vec()
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // The last six of the eight digits in the table of appendix B.
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let step = step_of(known(), code, time);
            assert_eq!(step, Some(time as u64 / 30), "{code}");
        }
    }

    #[test]
    fn a_clock_may_be_off_by_one_step_and_no_more() {
        let code = "005924";
        let step = Some(1_234_567_890 / 30);
        for off in [-30, 0, 30] {
            assert_eq!(step_of(known(), code, 1_234_567_890 + off), step);
        }
        for off in [-60, 60] {
            assert_eq!(step_of(known(), code, 1_234_567_890 + off), None);
        }
    }

    #[test]
    fn what_is_no_code_is_none() {
        assert!(step_of(known(), " 005 924 ", 1_234_567_890).is_some());
        for bad in ["", "00592", "0059244", "00592a", "٠٠٥٩٢٤"] {
            assert_eq!(step_of(known(), bad, 1_234_567_890), None, "{bad}");
        }
        assert_eq!(step_of(known(), "005924", -1), None);
        assert_eq!(step_of(Vec::new(), "005924", NOW), None);
    }

    #[test]
    fn a_proposal_says_the_secret_in_three_ways() {
        let proposal = Proposal::new(known(), "ada@example.org").unwrap();
        assert_eq!(proposal.base32, "GEZD-GNBV-GY3T-QOJQ-GEZD-GNBV-GY3T-QOJQ");
        let expected =
            "otpauth://totp/cmdop:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        assert!(proposal.uri.starts_with(expected), "{}", proposal.uri);
        assert!(proposal.picture.starts_with("<svg") && proposal.picture.ends_with("</svg>"));
    }

    #[test]
    fn recovery_codes_are_read_as_people_type_them_and_belong_to_one_account() {
        let (ada, eve) = (AccountId::new(), AccountId::new());
        let codes = recovery_codes();
        assert_eq!(codes.len(), RECOVERY_CODES);
        let typed = codes[0].to_lowercase().replace('-', " ");
        let hash = recovery_hash(ada, &codes[0]);
        assert!(hash.is_some());
        assert_eq!(recovery_hash(ada, &typed), hash);
        assert_ne!(recovery_hash(eve, &codes[0]), hash);
        assert_ne!(recovery_hash(ada, &codes[1]), hash);
        assert_eq!(recovery_hash(ada, "123456"), None);
    }
}
