//! What the application wrote, what is missing of it and why, and what the probes saw.

use super::counted;
use crate::{
    Text,
    chapter::{Block, Chapter, chapter, instant, sheet, words},
    drill::DrillReport,
};

/// What became of the writes, and of each one that is missing.
pub(super) fn writes(report: &DrillReport) -> Chapter {
    let writes = &report.writes;
    let rows = [
        ("Rows loaded", writes.loaded_rows.to_string()),
        ("Rows removed by the fault", writes.damaged_rows.to_string()),
        ("Writes acknowledged", writes.acknowledged.to_string()),
        ("Writes failed (without effect)", writes.failed.to_string()),
        (
            "Writes unknown (found / not found)",
            format!("{} ({} / {})", writes.unknown, counted(writes.unknown_found), counted(writes.unknown_missing)),
        ),
        ("Acknowledged writes lost", counted(writes.lost)),
        ("Loaded rows lost", counted(writes.lost_loaded_rows)),
        ("Kept writes younger than the oldest lost one", counted(writes.after_first_hole)),
        (
            "Unexpected rows (raised from the dead)",
            format!("{} ({})", counted(writes.unexpected), counted(writes.raised_from_the_dead)),
        ),
        ("Acknowledged a second before the fault", format!("{:.0}", writes.rate_before_fault)),
        ("Longest pause of the writers", format!("{:.2} s", writes.longest_pause_s)),
        ("Rows at the end", counted(writes.final_rows)),
    ];
    let rows = rows.map(|(name, value)| [words(name), words(value)]);
    let table = sheet("What became of the application's writes", ["what", "number"], rows);
    chapter("writes", "Writes", [table, lost(report)])
}

fn lost(report: &DrillReport) -> Block {
    let listed = report.lost_writes.len();
    let none = match report.writes.lost {
        None => "Which acknowledged writes are missing was not measured.".to_owned(),
        Some(0) => "No acknowledged write is missing.".to_owned(),
        Some(lost) => format!("{lost} acknowledged writes are missing; the report lists none of them."),
    };
    if listed == 0 {
        return Block::Words(words(none));
    }
    let rows = report.lost_writes.iter().map(|lost| {
        let at = lost.acknowledged.map_or_else(String::new, instant);
        [words(lost.write.to_string()), words(at), words(&*lost.what), words(&*lost.why)]
    });
    let caption = match report.writes.lost {
        Some(lost) if lost > listed => format!("Lost writes: the oldest {listed} of {lost}, and why"),
        _ => "Lost writes, and why".to_owned(),
    };
    sheet(caption, ["write", "acknowledged", "what", "why"], rows)
}

/// What each kind of probe saw.
pub(super) fn probes(report: &DrillReport) -> Chapter {
    let rows = report.probes.iter().map(|probe| {
        let made = probe.wanted.map_or_else(|| probe.made.to_string(), |wanted| format!("{} of {wanted}", probe.made));
        let pause = probe.longest_pause_s.map_or_else(Text::default, |pause| words(format!("{pause:.2} s")));
        let first = probe.first_failure.as_deref().unwrap_or_default();
        [words(&*probe.kind), words(made), pause, words(probe.failed.to_string()), words(first)]
    });
    let heads = ["kind", "made", "longest pause", "failed", "first failure"];
    chapter("probes", "Probes", [sheet("What each kind of probe saw", heads, rows)])
}
