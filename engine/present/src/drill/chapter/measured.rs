//! Objectives against what was measured, for each recovery, for each look at a standby, and for each run.

use jiff::SignedDuration;

use super::interval;
use crate::{
    Text,
    chapter::{Block, Chapter, NOT_MEASURED, chapter, sheet, words},
    drill::{
        DrillReport, EpisodeReport,
        proof::{of, proven},
    },
    elapsed,
};

/// What each recovery was allowed, and what it took.
pub(super) fn objectives(report: &DrillReport) -> Chapter {
    let blocks = (1..).zip(&report.episodes).flat_map(|(number, episode)| {
        let of = if report.episodes.len() > 1 {
            format!(" of recovery {number}, {}", episode.runbook.id)
        } else {
            String::new()
        };
        [against(report, episode, &of), parts(episode, &of)]
    });
    let mut blocks: Vec<Block> = blocks.collect();
    if blocks.is_empty() {
        blocks.push(Block::Words(words("Nothing had to be recovered.")));
    }
    chapter("objectives", "Objectives and measurements", blocks)
}

fn against(report: &DrillReport, episode: &EpisodeReport, of: &str) -> Block {
    let (rto, rpo) = (&episode.rto, &episode.rpo);
    let missing = |missing: &Option<String>| words(missing.clone().unwrap_or_default());
    let rows = [
        [
            words(format!("Recovery time (RTO), from {}", rto.clock)),
            objective(rto.objective_s),
            interval(rto.judged_s),
            proven(report, rto.verdict),
            missing(&rto.missing),
        ],
        [
            words("Recovery point (RPO)"),
            objective(rpo.objective_s),
            interval(rpo.actual_s),
            proven(report, rpo.verdict),
            missing(&rpo.missing),
        ],
    ];
    sheet(format!("Objectives{of}"), ["objective", "allowed", "measured", "verdict", "what was missing"], rows)
}

fn parts(episode: &EpisodeReport, of: &str) -> Block {
    let (rto, rpo) = (&episode.rto, &episode.rpo);
    let rows = [
        ("RTO of the service (t_stable − t_onset)", rto.service_s),
        ("RTO of the procedure (t_stable − t_start)", rto.procedure_s),
        ("Decision lag (t_start − t_onset)", rto.decision_s),
        ("Time to redundancy (t_redundant − t_onset)", rto.redundancy_s),
        ("Loss from before the fault", rpo.pre_fault_s),
        ("Collateral loss", rpo.collateral_s),
    ];
    let residual = match (rpo.residual_damage, episode.instants.damage) {
        (Some(rows), _) => format!("{rows} rows"),
        (None, Some(_)) => NOT_MEASURED.to_owned(),
        (None, None) => "there was no damage".to_owned(),
    };
    let resolution = rpo.resolution_s.map_or_else(|| NOT_MEASURED.to_owned(), |seconds| format!("{seconds:.2} s"));
    let more = [
        [words("Residual damage"), words(residual)],
        [words("Shortest loss that could have been seen"), words(resolution)],
    ];
    let rows = rows.into_iter().map(|(name, value)| [words(name), interval(value)]);
    sheet(format!("Measurements{of}"), ["what", "value"], rows.chain(more))
}

fn objective(seconds: Option<f64>) -> Text {
    let length = seconds.and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
    words(length.map_or_else(|| "none".to_owned(), elapsed::text))
}

/// How far standbys were behind.
pub(super) fn standbys(report: &DrillReport) -> Option<Chapter> {
    let rows = report.lags.iter().map(|lag| {
        let faults = if lag.faults.is_empty() { "none".to_owned() } else { lag.faults.join(", ") };
        let seen = format!("{:.1} s, {} looks", lag.until.duration_since(lag.from).as_secs_f64(), lag.sightings);
        [
            words(&*lag.standby),
            words(faults),
            words(lag.wanted()),
            interval(lag.longest_s),
            interval(lag.median_s),
            lag.within_s.map_or_else(Text::default, |_| interval(lag.caught_up_s)),
            words(seen),
            proven(report, lag.verdict),
            words(lag.missing.clone().unwrap_or_default()),
        ]
    });
    let heads = [
        "standby",
        "faults",
        "wanted",
        "longest lag",
        "median",
        "caught up after",
        "watched",
        "verdict",
        "what was missing",
    ];
    let table = sheet("How far standbys were behind", heads, rows);
    (!report.lags.is_empty()).then(|| chapter("standbys", "Standbys", [table]))
}

/// How runbooks ended that recover nothing.
pub(super) fn routines(report: &DrillReport) -> Option<Chapter> {
    let rows = report.routines.iter().map(|routine| {
        let faults = if routine.faults.is_empty() { "none".to_owned() } else { routine.faults.join(", ") };
        [
            Text::name(&*routine.runbook.id),
            Text::name(&*routine.run),
            words(faults),
            words(routine.wanted()),
            words(routine.outcome.replace('_', " ")),
            proven(report, routine.verdict),
            words(format!("{:.1} s", routine.until.duration_since(routine.from).as_secs_f64())),
            words(routine.failure.clone().unwrap_or_default()),
        ]
    });
    let heads = ["runbook", "run", "faults", "wanted", "ended", "verdict", "took", "failure"];
    let table = sheet("Runbooks that recover nothing, and how each had to end", heads, rows);
    (!report.routines.is_empty()).then(|| chapter("routines", "Routines", [table]))
}

/// Every run: of several, the report is that of the worst.
pub(super) fn runs(report: &DrillReport) -> Chapter {
    let rows = report.samples.iter().map(|sample| {
        // Controls that were held afterwards count for the run that is shown.
        let is_shown = sample.run == report.run;
        let verdict = if is_shown { sample.verdict.and(report.verdict) } else { sample.verdict };
        [Text::name(&*sample.run), of(verdict), interval(sample.rto_s), interval(sample.rpo_s)]
    });
    let title = match report.samples.len() {
        0 | 1 => "Samples".to_owned(),
        several => format!("{several} runs, of which this report shows the worst"),
    };
    chapter("samples", title, [sheet("Every run of the drill", ["run", "verdict", "RTO", "RPO"], rows)])
}
