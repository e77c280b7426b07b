//! A file as it was read.

use super::{Diagnostic, Span, codes};

/// Larger files are refused before anything looks at them.
pub const FILE_BYTES_MAX: usize = 2 << 20;

/// A file that was read, with the name that messages use for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, as the user gave it.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// A file from its bytes; refused where it is too large or not UTF-8. A byte order mark is dropped.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Result<Self, Box<Diagnostic>> {
        if bytes.len() > FILE_BYTES_MAX {
            let message = format!("the file has {} bytes; at most {FILE_BYTES_MAX} are allowed", bytes.len());
            return Err(Box::new(refused(codes::TOO_LARGE, message, Span::default())));
        }
        if is_utf16(bytes) {
            let help = Some("save it as UTF-8, for example with `iconv -f utf-16 -t utf-8`".to_owned());
            let refusal = refused(codes::NOT_UTF8, "the file is UTF-16, not UTF-8".to_owned(), Span::default());
            return Err(Box::new(Diagnostic { help, ..refusal }));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            let span = Span { line: u32::try_from(line).unwrap_or(u32::MAX), column: 1, ..Span::default() };
            let message = format!("byte {} is not UTF-8", error.valid_up_to());
            Box::new(refused(codes::NOT_UTF8, message, span))
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(Self { name: name.into(), text: text.to_owned() })
    }

    /// The place of these bytes of the text.
    pub fn span(&self, start: usize, end: usize) -> Span {
        let start = self.boundary(start);
        let end = self.boundary(end).max(start);
        let before = &self.text[..start];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Span { start, end, line: short(line), column: short(column) }
    }

    /// The bytes of a line (counted from 1) without its indentation.
    pub(super) fn line(&self, number: u32) -> (usize, usize) {
        let skipped = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let start: usize = self.text.split_inclusive('\n').take(skipped).map(str::len).sum();
        let line = self.text[start..].lines().next().unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        (start + indent, start + line.trim_end().len().max(indent))
    }

    fn boundary(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// By its byte order mark, or by the zero in every other byte of its first words.
fn is_utf16(bytes: &[u8]) -> bool {
    let every_other = |from: usize| bytes.len() >= 8 && (0..4).all(|pair| bytes[2 * pair + from] == 0);
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || every_other(0) || every_other(1)
}

fn refused(code: super::Code, message: String, span: Span) -> Diagnostic {
    Diagnostic { code: code.id, severity: code.severity, message, span, label: String::new(), help: None }
}
