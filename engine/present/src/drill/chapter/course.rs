//! What happened when: the picture, the named instants, the critical path, every step.

use jiff::Timestamp;

use crate::{
    Text, Tone,
    chapter::{Block, Chapter, NOT_MEASURED, chapter, instant, sheet, words},
    drill::{DrillReport, EpisodeReport, Instants, StepReport},
};

/// The picture and the instants behind it.
pub(super) fn time_line(report: &DrillReport) -> Chapter {
    let several = report.episodes.len() > 1;
    let instants = (1..).zip(&report.episodes).map(|(number, episode)| {
        let of = if several { format!(" of recovery {number}, {}", episode.runbook.id) } else { String::new() };
        instants(&episode.instants, &of)
    });
    chapter("time-line", "Time line", std::iter::once(Block::TimeLine).chain(instants))
}

fn instants(instants: &Instants, of: &str) -> Block {
    let named = [
        ("T_c", "the first damaging operation", instants.damage),
        ("t_onset", "the last good probe before the first failed one", instants.t_onset),
        ("t_detect", "monitoring noticed", instants.t_detect),
        ("t_declare", "the disaster was declared", instants.t_declare),
        ("t_start", "the first step of the runbook", instants.t_start),
        ("t_freeze", "the last write acknowledged before the recovered state took over", instants.t_freeze),
        ("t_restored", "the engine says that the data is back", instants.t_restored),
        ("t_first", "the first good write and read after that", instants.t_first),
        ("t_stable", "the first stable window begins", instants.t_stable),
        ("t_redundant", "the recovered data is protected again", instants.t_redundant),
    ];
    let mut named: Vec<_> = named.into();
    named.sort_by_key(|(_, _, at)| (at.is_none(), *at));
    let row = |(name, means, at): (&str, &str, Option<Timestamp>)| {
        let since = at.zip(instants.t_onset).map(|(at, onset)| at.duration_since(onset).as_secs_f64());
        [
            Text::name(name),
            words(means),
            words(at.map_or_else(|| NOT_MEASURED.to_owned(), instant)),
            words(since.map_or_else(String::new, |since| format!("{since:+.2} s"))),
        ]
    };
    sheet(format!("Instants{of}"), ["instant", "is", "at", "since t_onset"], named.into_iter().map(row))
}

/// Every step of the runbooks, and those that the end of a recovery waited for.
pub(super) fn steps(report: &DrillReport) -> Option<Chapter> {
    let several = report.episodes.len() > 1;
    let blocks = (1..).zip(&report.episodes).flat_map(|(number, episode)| {
        let of = if several { format!(" of recovery {number}, {}", episode.runbook.id) } else { String::new() };
        [path(episode, &of), all(episode, &of)].concat()
    });
    let blocks: Vec<Block> = blocks.collect();
    let answered = Block::Words(words(format!("Questions were answered by {}.", report.approvals)));
    (!blocks.is_empty()).then(|| chapter("steps", "Steps", blocks.into_iter().chain([answered])))
}

/// The steps that the end of the recovery waited for, one after the other.
fn path(episode: &EpisodeReport, of: &str) -> Vec<Block> {
    let on_path = episode.steps.iter().filter(|step| step.on_critical_path);
    let mut steps: Vec<(Timestamp, &StepReport)> = on_path.filter_map(|step| Some((step.started?, step))).collect();
    steps.sort_by_key(|(started, _)| *started);
    if steps.is_empty() {
        return vec![Block::Words(words(format!("No step on the critical path{of} was begun.")))];
    }
    let mut before: Option<Timestamp> = None;
    let mut rows = Vec::new();
    for (started, step) in &steps {
        let waited =
            before.map_or_else(String::new, |before| seconds(started.duration_since(before).as_secs_f64().max(0.0)));
        let since =
            episode.instants.t_onset.map(|onset| format!("{:+.2} s", started.duration_since(onset).as_secs_f64()));
        let took = step.seconds.map_or_else(|| NOT_MEASURED.to_owned(), seconds);
        rows.push([Text::name(&*step.id), words(since.unwrap_or_default()), words(waited), words(took)]);
        let took = step.seconds.and_then(|took| jiff::SignedDuration::try_from_secs_f64(took).ok());
        before = took.and_then(|took| started.checked_add(took).ok());
    }
    let heads = ["step", "began, since t_onset", "after a wait of", "took"];
    vec![Block::Words(words(share(episode, &steps))), sheet(format!("Critical path{of}"), heads, rows)]
}

/// How much of the recovery the path explains.
fn share(episode: &EpisodeReport, steps: &[(Timestamp, &StepReport)]) -> String {
    let took: Option<f64> = steps.iter().map(|(_, step)| step.seconds).sum();
    let Instants { t_start, t_restored, .. } = episode.instants;
    let whole = t_start.zip(t_restored).map(|(start, restored)| restored.duration_since(start).as_secs_f64());
    let number = steps.len();
    let for_steps = if number == 1 { "1 step".to_owned() } else { format!("{number} steps") };
    match (took, whole) {
        (Some(took), Some(whole)) => format!(
            "The end of the recovery waited for {for_steps}, which took {} of the {} from the first step to the restored data.",
            seconds(took),
            seconds(whole)
        ),
        _ => format!("The recovery waited for {for_steps}, of which not all ended well."),
    }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.2} s")
}

fn all(episode: &EpisodeReport, of: &str) -> Vec<Block> {
    let rows = episode.steps.iter().map(|step| {
        let summary = step.summary.as_deref().or(step.title.as_deref()).unwrap_or_default();
        [
            Text::name(&*step.id),
            state(&step.state),
            words(step.attempts.to_string()),
            words(step.seconds.map_or_else(String::new, |seconds| format!("{seconds:.2}"))),
            words(if step.on_critical_path { "yes" } else { "" }),
            words(summary),
        ]
    });
    let heads = ["step", "state", "attempts", "seconds", "critical path", "what it said"];
    vec![sheet(format!("Steps{of}"), heads, rows)]
}

fn state(state: &str) -> Text {
    if state == "failed" { Text::toned(Tone::Bad, state) } else { words(state.replace('_', " ")) }
}
