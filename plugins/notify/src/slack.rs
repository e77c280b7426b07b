//! The JSON that Slack's incoming webhooks take: <https://api.slack.com/messaging/webhooks>.

use serde_json::json;

use crate::send::{Message, Severity};

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
    let footer = format!("\n_run {}_", escape(message.run, usize::MAX));
    let mut text = sign.to_owned();
    if let Some(title) = message.title {
        // A title is one bold line: Slack's bold ends at a newline and at an asterisk.
        let title = title.replace(['\n', '\r', '*'], " ");
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
