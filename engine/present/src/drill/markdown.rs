//! `report.md`: the report as text, for a ticket or a pull request. What it says comes from the chapters.

use super::{DrillReport, Proof, Verdict, chapters, proof, proof::of, reasons, sentence};
use crate::markdown::{self, inline, line, shown};

/// The document.
pub fn markdown(report: &DrillReport) -> String {
    let mut document = format!(
        "# Drill {}: {}\n\n{}\n",
        inline(&report.drill),
        shown(&of(report.verdict)),
        line(&inline(&sentence(report)))
    );
    document.push_str(&against(report));
    document + &markdown::chapters(&chapters(report))
}

/// Why it is not met.
fn against(report: &DrillReport) -> String {
    let reasons = reasons(report);
    let met = report.verdict == Verdict::Met && proof(report) == Proof::Passed;
    if reasons.is_empty() {
        let all = if met { "\nEvery objective is met and every check held.\n" } else { "" };
        return all.to_owned();
    }
    let items = reasons.iter().map(|reason| format!("- {}\n", line(&inline(reason))));
    format!("\n{}", items.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::{read, testing};

    #[test]
    fn the_document_tells_the_whole_report() {
        insta::assert_snapshot!(markdown(&testing::report()));
    }

    #[test]
    fn no_verdict_but_met_looks_like_a_pass() {
        for verdict in [Verdict::Missed, Verdict::Unmeasured] {
            let mut report = read(include_str!("tests/report.json")).unwrap();
            report.verdict = verdict;
            let document = markdown(&report);
            assert!(!document.contains("Every objective is met"), "{document}");
            let head = document.lines().next().unwrap_or_default();
            assert!(head.contains(&format!("{verdict}**")), "{head}");
        }
    }

    /// Whatever is in the report, a row has as many cells as its table has heads.
    #[test]
    fn rows_fit_their_heads() {
        let document = markdown(&testing::hostile());
        let mut width = 0;
        for line in document.lines() {
            let bars = line.replace("\\|", "").matches('|').count();
            if line.starts_with("| --- |") {
                width = bars;
            } else if line.starts_with('|') && width > 0 {
                assert_eq!(bars, width, "{line}");
            } else if !line.starts_with('|') {
                width = 0;
            }
        }
        assert!(!document.replace("\\<", "").contains("<script"), "{document}");
    }
}
