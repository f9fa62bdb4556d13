//! The frame of every page, its looks, and its escaping.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::session::Browser;

/// Nothing may be loaded, run or framed; forms go to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// The same, where the answer to a form may send the browser on to a program (browsers hold the whole way of a
/// form to the policy).
const POLICY_ONWARD: &str = "default-src 'none'; style-src 'self'; form-action 'self' {onward}; \
                             frame-ancestors 'none'; base-uri 'none'";

const STYLE: &str = "\
:root { color-scheme: light dark; font: 1.05rem/1.5 system-ui, sans-serif; }
body { max-width: 26rem; margin: 10vh auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; }
label { display: block; margin-top: 1rem; }
input { font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; }
button { font: inherit; margin: 1.2rem .6rem 0 0; padding: .5rem 1.2rem; }
code { font-size: 1.3em; letter-spacing: .1em; }
code.address, code.secret { font-size: 1em; letter-spacing: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; }
td button { margin: 0; padding: .2rem .6rem; }
.codes { list-style: none; padding: 0; }
.picture svg { max-width: 100%; height: auto; }
.problem { border-left: .3rem solid #c22; padding-left: .8rem; }
";

/// The stylesheet.
pub(super) async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, STYLE).into_response()
}

/// `text` as HTML that shows exactly it, in an element or a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A page. `body` is HTML already, `title` is text.
pub(super) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · cmdop</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    );
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    guarded((status, kind, html).into_response())
}

/// The same, for a form whose answer may lead to `onward`, an origin or a scheme.
pub(super) fn page_leading_to(onward: &str, title: &str, body: &str) -> Response {
    let mut response = page(StatusCode::OK, title, body);
    let policy = POLICY_ONWARD.replace("{onward}", onward);
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// To another page of ours, or to a program that was checked.
pub(super) fn redirect(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    guarded(response)
}

/// The same answer, with the browser's id.
pub(super) fn with_cookie(mut response: Response, browser: &Browser) -> Response {
    response
        .headers_mut()
        .insert(header::SET_COOKIE, browser.set_cookie());
    response
}

/// A sentence about what went wrong, read out by screen readers; nothing if nothing did.
pub(super) fn problem(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("<p class=\"problem\" role=\"alert\">{}</p>\n", escape(text))
}

/// The form token, unseen.
pub(super) fn hidden(name: &str, value: &str) -> String {
    format!(
        "<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n",
        escape(value)
    )
}

fn guarded(mut response: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_its_element_or_attribute() {
        let hostile = "\"><script>alert('&')</script>";
        let shown = escape(hostile);
        assert!(!shown.contains(['<', '>', '"', '\'']), "{shown}");
        assert_eq!(shown.matches("&amp;").count(), 1);
        assert!(hidden("user_code", hostile).matches('<').count() == 1);
    }

    #[test]
    fn every_page_forbids_scripts_and_frames() {
        let response = page(StatusCode::OK, "x", "");
        let policy = &response.headers()[header::CONTENT_SECURITY_POLICY];
        assert!(policy.to_str().unwrap().contains("default-src 'none'"));
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }
}
