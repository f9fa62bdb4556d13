//! Just enough of a browser to log in on the control plane's pages: it fetches, keeps cookies,
//! fills in the forms that it finds, and follows redirects. It runs no script.

use std::collections::BTreeMap;

use cmdop_client::dial::{self, Trust};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, Url, redirect};

/// A browser with its cookies.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

/// A page that was fetched.
#[derive(Debug)]
pub struct Page {
    /// Where it came from, after redirects.
    pub url: Url,
    /// The HTTP status.
    pub status: u16,
    /// Its HTML.
    pub html: String,
}

/// One form of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent; empty: to the page itself.
    pub action: String,
    /// The fields and their present values, submit buttons apart.
    pub fields: BTreeMap<String, String>,
    /// Name and value of its submit buttons.
    pub buttons: Vec<(String, String)>,
}

impl Browser {
    /// A browser that trusts `ca_pem` and nobody else.
    pub fn new(ca_pem: &str) -> Self {
        let tls = dial::tls_config(&Trust::Ca(ca_pem.to_owned())).expect("a usable CA");
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client");
        Self {
            client,
            cookies: BTreeMap::new(),
        }
    }

    /// Opens a page.
    pub async fn open(&mut self, url: &str) -> Page {
        let url = url.parse().expect("a URL");
        self.fetch(Method::GET, url, &BTreeMap::new()).await
    }

    /// Sends a form of `page`.
    pub async fn submit(&mut self, page: &Page, form: &Form) -> Page {
        let url = page
            .url
            .join(&form.action)
            .expect("a form's action is a URL");
        self.fetch(Method::POST, url, &form.fields).await
    }

    async fn fetch(
        &mut self,
        mut method: Method,
        mut url: Url,
        fields: &BTreeMap<String, String>,
    ) -> Page {
        for _ in 0..10 {
            let mut request = self.client.request(method.clone(), url.clone());
            if method == Method::POST {
                request = request
                    .header("origin", url.origin().ascii_serialization())
                    .form(fields);
            }
            let cookies: Vec<_> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            if !cookies.is_empty() {
                request = request.header(COOKIE, cookies.join("; "));
            }
            let response = request.send().await.expect("the control plane answers");
            for cookie in response.headers().get_all(SET_COOKIE) {
                self.keep(cookie.to_str().expect("a cookie is text"));
            }
            let Some(location) = response.headers().get(LOCATION) else {
                let status = response.status().as_u16();
                let html = response.text().await.expect("a page is text");
                return Page { url, status, html };
            };
            url = url
                .join(location.to_str().expect("a location is text"))
                .expect("a location is a URL");
            method = Method::GET;
        }
        panic!("more than ten redirects, now at {url}");
    }

    fn keep(&mut self, cookie: &str) {
        let pair = cookie.split(';').next().unwrap_or_default();
        if let Some((name, value)) = pair.split_once('=') {
            self.cookies
                .insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
}

impl Page {
    /// The forms of the page.
    pub fn forms(&self) -> Vec<Form> {
        let mut forms = Vec::new();
        for part in self.html.split("<form").skip(1) {
            let body = part.split("</form").next().unwrap_or_default();
            let (tag, rest) = body.split_once('>').unwrap_or((body, ""));
            forms.push(form(tag, rest));
        }
        forms
    }

    /// The form that has all these fields.
    pub fn form_with(&self, fields: &[&str]) -> Form {
        self.forms()
            .into_iter()
            .find(|form| fields.iter().all(|field| form.fields.contains_key(*field)))
            .unwrap_or_else(|| {
                panic!(
                    "no form with {fields:?} on {} ({}):\n{}",
                    self.url, self.status, self.html
                )
            })
    }
}

impl Form {
    /// Fills in a field.
    pub fn set(mut self, field: &str, value: &str) -> Self {
        self.fields.insert(field.to_owned(), value.to_owned());
        self
    }

    /// Presses the button whose name or value holds `text` (letter case aside).
    pub fn press(mut self, text: &str) -> Self {
        let text = text.to_lowercase();
        let button = self
            .buttons
            .iter()
            .find(|(name, value)| format!("{name}={value}").to_lowercase().contains(&text))
            .unwrap_or_else(|| panic!("no button {text} in {self:?}"));
        self.fields.insert(button.0.clone(), button.1.clone());
        self
    }
}

fn form(tag: &str, body: &str) -> Form {
    let action = attribute(tag, "action").unwrap_or_default();
    let mut form = Form {
        action,
        fields: BTreeMap::new(),
        buttons: Vec::new(),
    };
    for part in body.split('<').skip(1) {
        let tag = part.split('>').next().unwrap_or_default();
        let is_button = tag.starts_with("button");
        if !is_button && !tag.starts_with("input") {
            continue;
        }
        let Some(name) = attribute(tag, "name") else {
            continue;
        };
        let value = attribute(tag, "value").unwrap_or_default();
        if is_button || attribute(tag, "type").as_deref() == Some("submit") {
            form.buttons.push((name, value));
        } else {
            form.fields.insert(name, value);
        }
    }
    form
}

/// The value of an attribute, quoted or bare.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.match_indices(name).find_map(|(at, _)| {
        let before = tag[..at].chars().next_back()?;
        let after = tag[at + name.len()..].strip_prefix('=')?;
        before.is_whitespace().then_some(after)
    })?;
    let value = match start.chars().next()? {
        quote @ ('"' | '\'') => start[1..].split(quote).next()?,
        _ => start
            .split(|c: char| c.is_whitespace() || c == '/')
            .next()?,
    };
    Some(
        value
            .replace("&#39;", "'")
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&amp;", "&"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_it_stands() {
        let html = r#"<form method="post" action="/device"><input type=hidden name="csrf" value="a&amp;b">
            <input name="user_code"/><button name="decision" value="allow">Allow</button></form>"#;
        let page = Page {
            url: "https://h/x".parse().unwrap(),
            status: 200,
            html: html.into(),
        };
        let form = page.form_with(&["csrf", "user_code"]).press("allow");
        assert_eq!(form.action, "/device");
        assert_eq!(form.fields["csrf"], "a&b");
        assert_eq!(form.fields["decision"], "allow");
    }
}
