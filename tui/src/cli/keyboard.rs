//! `cmdop keyboard`: who is attached to a session, who may type, and changes of that.

use std::time::Duration;

use clap::ValueEnum;
use cmdop_client::sessions;
use cmdop_proto::Size;
use cmdop_proto::text::shown;
use cmdop_proto::v1::{self, keyboard_change::Change};
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::table::Table;

/// Show who may type into a session, or change it
///
/// Where the keyboard is `free` every operator types. Where it is `exclusive` one attached operator holds
/// it, and what others type is refused. It passes on when its holder gives it, or when an operator
/// takes it from a holder who typed nothing for 30 s or is not attached any more.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cmdop keyboard build --mode exclusive\n\nCLIENT is a client id as this \
                        command lists them, the start of one, or the name of an account with one \
                        client here. Inside `cmdop attach`: ctrl-] r requests, g gives, t takes."
)]
pub(super) struct Args {
    /// Its id, a unique prefix of it, or its name
    session: String,
    /// Let every operator type, or one
    #[arg(long, value_enum, group = "what")]
    mode: Option<Mode>,
    /// Ask the holder for the keyboard
    #[arg(long, group = "what")]
    request: bool,
    /// Take it from a holder who is idle or gone
    #[arg(long, group = "what")]
    take: bool,
    /// Hand it over to another operator
    #[arg(long, value_name = "CLIENT", group = "what")]
    give: Option<String>,
    /// Make a client an observer for as long as it is attached; administrators only
    #[arg(long, value_name = "CLIENT", group = "what")]
    observe: Option<String>,
    /// Which of your own attached clients this is for [default: the only one]
    #[arg(long = "as", value_name = "CLIENT", requires = "what")]
    client: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    Free,
    Exclusive,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let request = v1::KeyboardRequest {
        session: args.session.clone(),
        change: change(&args).map(|change| v1::KeyboardChange {
            change: Some(change),
        }),
        client: args.client.unwrap_or_default(),
    };
    let state = sessions::keyboard(&context.connection()?, request).await?;
    output::record(context.format(), &Record::of(&state), &fields(&state))?;
    Ok(0)
}

fn change(args: &Args) -> Option<Change> {
    if let Some(mode) = args.mode {
        return Some(Change::Mode(match mode {
            Mode::Free => v1::KeyboardMode::Free.into(),
            Mode::Exclusive => v1::KeyboardMode::Exclusive.into(),
        }));
    }
    let request = args.request.then_some(Change::Request(true));
    let take = args.take.then_some(Change::Take(true));
    let give = args.give.clone().map(Change::Give);
    let observe = args.observe.clone().map(Change::Observe);
    request.or(take).or(give).or(observe)
}

/// A session's keyboard as `--json` prints it.
#[derive(Debug, Serialize)]
struct Record {
    session_id: String,
    mode: &'static str,
    holder: Option<Typist>,
    holder_attached: bool,
    takeable_in_ms: u64,
    requests: Vec<Typist>,
    clients: Vec<Client>,
}

#[derive(Debug, Serialize)]
struct Typist {
    client_id: String,
    account_name: String,
}

#[derive(Debug, Serialize)]
struct Client {
    client_id: String,
    account_name: String,
    mode: &'static str,
    delivery: &'static str,
    rows: Option<u32>,
    cols: Option<u32>,
}

impl Record {
    fn of(state: &v1::KeyboardResponse) -> Self {
        let session = state.session.clone().unwrap_or_default();
        let keyboard = session.keyboard.unwrap_or_default();
        Self {
            session_id: session.id,
            mode: mode(&keyboard),
            holder: keyboard.holder.as_ref().map(Typist::of),
            holder_attached: keyboard.holder_attached,
            takeable_in_ms: state.takeable_in_ms,
            requests: keyboard.requests.iter().map(Typist::of).collect(),
            clients: state.clients.iter().map(Client::of).collect(),
        }
    }
}

impl Typist {
    fn of(who: &v1::Typist) -> Self {
        Self {
            client_id: who.client_id.clone(),
            account_name: who.account_name.clone(),
        }
    }
}

impl Client {
    fn of(client: &v1::AttachedClient) -> Self {
        let who = client.who.clone().unwrap_or_default();
        Self {
            client_id: who.client_id,
            account_name: who.account_name,
            mode: match client.mode() {
                v1::AttachMode::Operator => "operator",
                v1::AttachMode::Observer => "observer",
                v1::AttachMode::Unspecified => "unknown",
            },
            delivery: match client.delivery() {
                v1::Delivery::Latest => "latest",
                v1::Delivery::Lossless | v1::Delivery::Unspecified => "lossless",
            },
            rows: client.size.map(|size| size.rows),
            cols: client.size.map(|size| size.cols),
        }
    }

    fn words(&self) -> String {
        let size = match (self.cols, self.rows) {
            (Some(cols), Some(rows)) => Size::new(rows, cols).ok(),
            _ => None,
        };
        let size = size.map(|size| format!(", {size}")).unwrap_or_default();
        let delivery = match self.delivery {
            "latest" => ", latest",
            _ => "",
        };
        let Self {
            client_id,
            account_name,
            mode,
            ..
        } = self;
        format!("{client_id} {account_name} ({mode}{size}{delivery})")
    }
}

/// The keyboard's mode in a word.
pub(super) fn mode(keyboard: &v1::Keyboard) -> &'static str {
    match keyboard.mode() {
        v1::KeyboardMode::Exclusive => "exclusive",
        v1::KeyboardMode::Free | v1::KeyboardMode::Unspecified => "free",
    }
}

/// The mode, and who holds it: for people.
pub(super) fn summary(keyboard: &v1::Keyboard) -> String {
    match (keyboard.mode(), &keyboard.holder) {
        (v1::KeyboardMode::Exclusive, None) => "exclusive, held by nobody".into(),
        (v1::KeyboardMode::Exclusive, Some(holder)) => {
            let away = if keyboard.holder_attached {
                ""
            } else {
                ", who is away"
            };
            format!(
                "exclusive, held by {}{away}",
                shown(&holder.account_name, 64)
            )
        }
        _ => "free".into(),
    }
}

fn fields(state: &v1::KeyboardResponse) -> Table {
    let record = Record::of(state);
    let mut table = Table::new(&["FIELD", "VALUE"]);
    let mut field = |name: &str, value: String| table.row([name.to_owned(), value]);
    field("mode", record.mode.into());
    if let Some(holder) = &record.holder {
        field(
            "holder",
            format!("{} {}", holder.client_id, holder.account_name),
        );
        let takeable = match (record.holder_attached, record.takeable_in_ms) {
            (false, _) => "now: its holder is not attached".into(),
            (true, 0) => "now: its holder is idle".into(),
            (true, ms) => {
                let seconds = Duration::from_millis(ms).as_secs() + 1;
                format!("in {seconds} s, unless its holder types")
            }
        };
        field("takeable", takeable);
    }
    for who in &record.requests {
        field(
            "requested by",
            format!("{} {}", who.client_id, who.account_name),
        );
    }
    for client in &record.clients {
        field("client", client.words());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typist(n: u32, name: &str) -> v1::Typist {
        v1::Typist {
            client_id: format!("0190000{n}-0000-7000-8000-000000000000"),
            account_name: name.into(),
            account_id: String::new(),
        }
    }

    fn client(who: v1::Typist, mode: v1::AttachMode) -> v1::AttachedClient {
        v1::AttachedClient {
            who: Some(who),
            mode: mode.into(),
            delivery: match mode {
                v1::AttachMode::Observer => v1::Delivery::Latest.into(),
                _ => v1::Delivery::Lossless.into(),
            },
            size: (mode == v1::AttachMode::Operator).then(|| Size::DEFAULT.into()),
        }
    }

    fn state() -> v1::KeyboardResponse {
        let keyboard = v1::Keyboard {
            mode: v1::KeyboardMode::Exclusive.into(),
            holder: Some(typist(1, "ada")),
            holder_attached: true,
            requests: vec![typist(2, "bert")],
        };
        v1::KeyboardResponse {
            session: Some(v1::Session {
                id: "01900000-0000-7000-8000-000000000000".into(),
                keyboard: Some(keyboard),
                ..v1::Session::default()
            }),
            clients: vec![
                client(typist(1, "ada"), v1::AttachMode::Operator),
                client(typist(2, "bert"), v1::AttachMode::Operator),
                client(typist(3, "gast"), v1::AttachMode::Observer),
            ],
            takeable_in_ms: 11_500,
        }
    }

    #[test]
    fn people_see_who_holds_it_who_asked_and_who_is_there() {
        insta::assert_snapshot!(fields(&state()).fields());
    }

    #[test]
    fn the_json_of_a_keyboard_keeps_its_shape() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&Record::of(&state())).unwrap());
    }

    #[test]
    fn a_keyboard_is_told_in_a_line() {
        let mut keyboard = state().session.unwrap().keyboard.unwrap();
        assert_eq!(summary(&keyboard), "exclusive, held by ada");
        keyboard.holder_attached = false;
        assert_eq!(summary(&keyboard), "exclusive, held by ada, who is away");
        keyboard.holder = None;
        assert_eq!(summary(&keyboard), "exclusive, held by nobody");
        assert_eq!(summary(&v1::Keyboard::default()), "free");
    }
}
