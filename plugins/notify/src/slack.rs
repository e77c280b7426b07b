//! The JSON that Slack's incoming webhooks take: <https://api.slack.com/messaging/webhooks>.

use serde_json::json;

use crate::message::{Message, Severity};

/// Slack cuts a message's text beyond 40,000 characters and advises 4,000; a longer one is cut here, where it can be said.
const TEXT_CHARS_MAX: usize = 4_000;
const CUT: &str = "… (cut)";

/// The document, on one line.
pub(crate) fn body(message: &Message<'_>) -> String {
    json!({ "text": text(message) }).to_string()
}

fn text(message: &Message<'_>) -> String {
    let sign = match message.severity {
        Severity::Info => "",
        Severity::Warning => ":warning: ",
        Severity::Critical => ":rotating_light: ",
    };
    let footer = format!("\nrun {}", escape(message.run, usize::MAX));
    let mut text = sign.to_owned();
    if let Some(title) = message.title {
        // A title is one bold line: Slack's bold ends at a newline and at an asterisk.
        let title = title.replace('*', "").replace(['\n', '\r'], " ");
        text.push_str(&format!("*{}*\n", escape(&title, 200)));
    }
    let room = TEXT_CHARS_MAX.saturating_sub(text.chars().count() + footer.chars().count());
    text.push_str(&escape(message.text, room));
    text.push_str(&footer);
    text
}

/// Escapes the three characters that Slack reads as markup of its own (links and mentions such as `<!channel>`), and cuts
/// the result to at most `chars_max` characters without cutting an escape.
fn escape(text: &str, chars_max: usize) -> String {
    let mut escaped = String::with_capacity(text.len());
    let (mut chars, mut fits_with_cut) = (0, 0);
    for c in text.chars() {
        let mut buffer = [0; 4];
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            other => &*other.encode_utf8(&mut buffer),
        };
        chars += piece.chars().count();
        if chars > chars_max {
            escaped.truncate(fits_with_cut);
            escaped.push_str(CUT);
            return escaped;
        }
        escaped.push_str(piece);
        if chars + CUT.chars().count() <= chars_max {
            fits_with_cut = escaped.len();
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unescape(text: &str) -> String {
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    proptest! {
        #[test]
        fn escaping_is_undone_by_slack(text in ".*") {
            let escaped = escape(&text, usize::MAX);
            prop_assert!(!escaped.contains(['<', '>']));
            prop_assert_eq!(unescape(&escaped), text);
        }

        #[test]
        fn a_cut_keeps_a_prefix_within_the_limit_and_says_so(text in "[a<&>é]{0,60}", limit in 8_usize..80) {
            let escaped = escape(&text, limit);
            prop_assert!(escaped.chars().count() <= limit);
            match escaped.strip_suffix(CUT) {
                Some(kept) => prop_assert!(text.starts_with(&unescape(kept))),
                None => prop_assert_eq!(unescape(&escaped), text),
            }
        }

        #[test]
        fn a_message_fits_whatever_is_in_it(title in ".{0,400}", body in ".{0,6000}", run in "[a-z0-9-]{1,40}") {
            let message = Message {
                title: Some(&title),
                text: &body,
                severity: Severity::Critical,
                run: &run,
                key: "r/s",
                sent_at_ms: 0,
            };
            let text = text(&message);
            prop_assert!(text.chars().count() <= TEXT_CHARS_MAX);
            let footer = format!("\nrun {run}");
            prop_assert!(text.ends_with(&footer));
        }
    }
}
