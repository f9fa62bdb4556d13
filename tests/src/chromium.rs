//! A real browser, headless Chromium, driven through the W3C's WebDriver protocol: by the keyboard, and seen as somebody
//! sees it who uses a screen reader, by the roles and labels that the browser itself computes.

use std::process::Command;

use cmdop_client::dial::{self, Trust};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::process::Program;
use crate::reaper::MARK;
use crate::wait;
use crate::world::Ground;

/// How WebDriver names keys that have no letter (section 17.4.2).
const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";

/// The one member of an object that refers to an element (section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What a person can do something with, or finds their way by.
const SEEN: &str = "main, h1, h2, a, button, summary, ul, table, [role], [aria-label], \
                    input:not([type=hidden])";

/// A browser with a profile of its own. It ends with the test.
#[derive(Debug)]
pub struct Chromium {
    http: Client,
    /// Where its session is.
    session: String,
    _driver: Program,
}

/// An element of the page, as the driver names it.
struct Element(String);

/// Something on a page, as the accessibility tree has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its role.
    pub role: String,
    /// What it is called.
    pub label: String,
}

impl Chromium {
    /// Starts one. It takes the certificates of any private CA.
    pub async fn start(ground: &Ground) -> Self {
        let mut command = Command::new("chromedriver");
        command
            .arg("--port=0")
            .env(MARK, ground.mark())
            .env("HOME", ground.path());
        let log = ground.log("chromedriver");
        let mut driver = Program::start("chromedriver (Debian: chromium-driver)", command, &log);
        let port = loop {
            let line = driver.line().await;
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let profile = ground.path().join("chromium");
        // Tests run as root in containers, where Chromium's own sandbox does not start.
        let arguments = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            format!("--user-data-dir={}", profile.display()),
        ]);
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {"args": arguments},
        }}});
        let mut browser = Self {
            http: client(),
            session: format!("http://127.0.0.1:{port}/session"),
            _driver: driver,
        };
        let session = browser.ask(Method::POST, "", wanted).await;
        let session = session.expect("Chromium starts (Debian: chromium)");
        let id = session["sessionId"].as_str().expect("a session has an id");
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    /// Types an address.
    pub async fn open(&self, url: &str) {
        let gone = self.ask(Method::POST, "/url", json!({"url": url})).await;
        gone.expect("the browser goes there");
    }

    /// The HTML that it shows.
    pub async fn html(&self) -> String {
        let source = self.ask(Method::GET, "/source", Value::Null).await;
        text(&source.expect("it shows something"))
    }

    /// Types what a person types, into what has the focus.
    pub async fn type_text(&self, text: &str) {
        let Element(focused) = self.active().await;
        let path = format!("/element/{focused}/value");
        let typed = self.ask(Method::POST, &path, json!({"text": text})).await;
        typed.expect("it takes keys");
    }

    /// Presses Enter.
    pub async fn enter(&self) {
        self.type_text(ENTER).await;
    }

    /// Presses Tab until what is called `label` has the focus; gives its role.
    pub async fn tab_to(&self, label: &str) -> String {
        let mut passed = Vec::new();
        for _ in 0..40 {
            let focused = self.focused().await;
            if focused.label == label {
                return focused.role;
            }
            passed.push(focused);
            self.type_text(TAB).await;
        }
        panic!("no Tab leads to {label}, only to {passed:?}");
    }

    /// What has the focus.
    pub async fn focused(&self) -> Seen {
        let focused = self.active().await;
        self.seen(&focused).await.expect("it is on the page")
    }

    /// Waits until the page with this heading is there.
    pub async fn until_heading(&self, heading: &str) {
        let what = format!("the page `{heading}`");
        wait::until(&what, async || {
            // A page that is just going away answers nothing.
            let found = self.find("h1").await.ok()?.into_iter().next()?;
            let path = format!("/element/{}/text", found.0);
            let shown = self.ask(Method::GET, &path, Value::Null).await.ok()?;
            (shown == heading).then_some(())
        })
        .await;
    }

    /// All that a page offers, in its order.
    pub async fn tree(&self) -> Vec<Seen> {
        let mut tree = Vec::new();
        for element in self.find(SEEN).await.expect("a page") {
            tree.push(self.seen(&element).await.expect("it is on the page"));
        }
        tree
    }

    async fn active(&self) -> Element {
        let active = self.ask(Method::GET, "/element/active", Value::Null).await;
        Element(text(&active.expect("something has the focus")[ELEMENT]))
    }

    async fn find(&self, selector: &str) -> Result<Vec<Element>, String> {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.ask(Method::POST, "/elements", wanted).await?;
        let found = found.as_array().cloned().unwrap_or_default();
        Ok(found
            .iter()
            .map(|one| Element(text(&one[ELEMENT])))
            .collect())
    }

    /// WebDriver, sections 12.4.8 and 12.4.9.
    async fn seen(&self, Element(element): &Element) -> Result<Seen, String> {
        let computed = async |what: &str| {
            let path = format!("/element/{element}/{what}");
            let computed = self.ask(Method::GET, &path, Value::Null).await?;
            Ok::<_, String>(text(&computed))
        };
        Ok(Seen {
            role: computed("computedrole").await?,
            label: computed("computedlabel").await?,
        })
    }

    /// One command: its value, or the driver's complaint.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Result<Value, String> {
        let request = self.http.request(method, format!("{}{path}", self.session));
        let request = match body {
            Value::Null => request,
            body => request.json(&body),
        };
        let asked = async { request.send().await?.json::<Value>().await };
        let mut answer = wait::within(&format!("the browser: {path}"), asked)
            .await
            .expect("the driver answers");
        let value = answer["value"].take();
        match value.get("error") {
            Some(_) => Err(value.to_string()),
            None => Ok(value),
        }
    }
}

/// The driver is on this computer and speaks plain HTTP: no certificate is ever looked at.
fn client() -> Client {
    let tls = dial::tls_config(&Trust::Fingerprint([0; 32])).expect("a configuration");
    Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .expect("a client")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
