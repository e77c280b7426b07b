//! The axis of a picture of what happened when: seconds from left to right, a row each thing, names at the left.

use crate::{page::push, xml::escape};

/// The width of a picture.
pub const WIDTH: f64 = 960.0;
/// Where the axis begins.
pub const LEFT: f64 = 150.0;
/// The height of a row.
pub const ROW: f64 = 18.0;
/// No letter is wider on average.
const LETTER: f64 = 7.0;
/// So many places are marked at most.
const TICKS_MAX: f64 = 16.0;
/// What may lie between two marks, in seconds: up to minutes, hours, days.
const STEPS: [f64; 16] = [
    1.0,
    2.0,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    900.0,
    1800.0,
    3600.0,
    14_400.0,
    43_200.0,
    86_400.0,
    604_800.0,
    2_592_000.0,
    31_536_000.0,
];

/// The span that is shown, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// Its beginning.
    pub from: f64,
    /// Its end.
    pub until: f64,
}

impl Axis {
    /// Where that instant is.
    pub fn x(&self, seconds: f64) -> f64 {
        LEFT + (seconds - self.from) / (self.until - self.from).max(0.001) * (WIDTH - LEFT - 10.0)
    }

    /// Marks of the seconds since the beginning, in those words.
    pub fn ticks(&self, svg: &mut String, y: f64, text: impl Fn(f64) -> String) {
        let span = self.until - self.from;
        let step = STEPS.into_iter().find(|step| span / step <= TICKS_MAX).unwrap_or(span / TICKS_MAX);
        let mut at = 0.0;
        while at <= span {
            let text = text(at);
            // The last one ends where the picture does.
            let x = self.x(self.from + at).min(WIDTH - LETTER * text.chars().count() as f64);
            let text = escape(&text);
            push(svg, format_args!("<text class=\"tick\" x=\"{x:.1}\" y=\"{y}\">{text}</text>"));
            at += step;
        }
    }
}

/// The name of a row.
pub fn label(svg: &mut String, text: &str, y: f64) {
    push(svg, format_args!("<text x=\"0\" y=\"{y}\">{}</text>", escape(text)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_any_length_has_a_few_marks() {
        for span in [0.0, 0.4, 17.0, 3_599.0, 86_400.0, 1e7, 1e10] {
            let mut svg = String::new();
            Axis { from: 5.0, until: 5.0 + span }.ticks(&mut svg, 1.0, |seconds| format!("{seconds} s"));
            let marks = svg.matches("<text").count();
            assert!((1..=17).contains(&marks), "{span}: {marks}");
        }
    }
}
