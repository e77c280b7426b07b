//! The HTTP client of the capabilities: rustls, no redirects (a redirect could carry a signed message elsewhere), bounded waits.

use std::{sync::OnceLock, time::Duration};

use lifeboat_core::failure::Reason;
use reqwest::{Response, Url, redirect::Policy};

use super::tls;

const CONNECT_MAX: Duration = Duration::from_secs(10);
const ANSWER_MAX: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("lifeboat/", env!("CARGO_PKG_VERSION"));

/// The client of a session, made when it is first needed.
#[derive(Default)]
pub(super) struct Client(OnceLock<Result<reqwest::Client, String>>);

impl Client {
    pub(super) fn get(&self) -> Result<&reqwest::Client, Reason> {
        let client = self.0.get_or_init(|| {
            tls::install_provider();
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .redirect(Policy::none())
                .connect_timeout(CONNECT_MAX)
                .timeout(ANSWER_MAX)
                // Messages are too rare to gain from a kept connection.
                .pool_max_idle_per_host(0)
                .build()
                .map_err(|error| error.to_string())
        });
        client.as_ref().map_err(|error| Reason::new("http-client", format!("the HTTP client cannot start: {error}")))
    }
}

/// The address, where it may be used: HTTPS, or HTTP to this machine, or HTTP that the operator wrote in the open.
pub(super) fn url(text: &str, plain_http: bool) -> Result<Url, Reason> {
    let wrong = |problem: &str| Reason::new("http-url", format!("the URL of the binding {problem}"));
    let url = Url::parse(text).map_err(|error| wrong(&format!("is invalid: {error}")))?;
    let local = url.host_str().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    match url.scheme() {
        "https" => Ok(url),
        "http" if local || plain_http => Ok(url),
        "http" => Err(wrong("is a secret and would be sent unencrypted; use https")),
        scheme => Err(wrong(&format!("has the scheme `{scheme}`; use https"))),
    }
}

/// The answer as text, cut at this number of bytes.
pub(super) async fn body(mut response: Response, max: usize) -> String {
    let mut body = Vec::new();
    // An answer that breaks off is worth what came of it: the status has already said how it went.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(max - body.len())]);
        if body.len() == max {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// Why there was no answer, without the address: it may be a secret.
pub(super) fn unanswered(error: reqwest::Error) -> Reason {
    use std::error::Error as _;
    let error = error.without_url();
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    Reason::new("http-connection", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_safe_or_asked_for_goes_in_the_open() {
        let cases = [
            ("https://hooks.slack.com/services/x", false, true),
            ("http://127.0.0.1:9999/hook", false, true),
            ("http://[::1]:9999/hook", false, true),
            ("http://localhost/hook", false, true),
            ("http://alerts.example.com/hook", false, false),
            ("http://alerts.example.com/hook", true, true),
            ("http://127.0.0.1.example.com/hook", false, false),
            ("file:///etc/passwd", true, false),
            ("no url", true, false),
        ];
        for (text, plain, expect) in cases {
            assert_eq!(url(text, plain).is_ok(), expect, "{text}");
        }
    }
}
