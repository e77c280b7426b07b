//! The review in chapters.

use super::Review;
use crate::{
    Text, Tone,
    chapter::{Block, Chapter, chapter, instant, sheet, words},
    drill::verdict,
};

pub(super) fn chapters(review: &Review) -> Vec<Chapter> {
    vec![whole(review), drills(review), points(review), lessons(review)]
}

fn whole(review: &Review) -> Chapter {
    let rows = [
        [words("run"), Text::name(&*review.run)],
        [words("written"), words(instant(review.at))],
        [words("points shown"), words(format!("{} of {}", review.shown(), review.points.len()))],
    ];
    let against = review.against.iter().map(|reason| [Text::toned(Tone::Bad, reason.clone())]);
    let none = "Nothing stands against it: every drill passed with its controls, and every point is shown.";
    let against = if review.against.is_empty() {
        Block::Words(words(none))
    } else {
        sheet("What stands against it", ["what"], against)
    };
    chapter("whole", "Whole", [sheet("What was reviewed", ["", ""], rows), against])
}

fn drills(review: &Review) -> Chapter {
    let rows = review.drills.iter().map(|drill| {
        [Text::name(&*drill.drill), verdict(&drill.verdict), words(&*drill.sentence), Text::name(&*drill.run)]
    });
    chapter("drills", "Drills", [sheet("What was held", ["drill", "verdict", "in one sentence", "run"], rows)])
}

fn points(review: &Review) -> Chapter {
    let rows = review.points.iter().map(|point| {
        let showing = Text::toned(point.showing.tone(), point.showing.words());
        [words(&*point.point), showing, words(point.shown_by.join("; "))]
    });
    let mut sources: Vec<&str> = review.points.iter().map(|point| point.source.as_str()).collect();
    sources.dedup();
    let caption = format!("Check list of {}", sources.join(", "));
    chapter("checklist", "Check list", [sheet(caption, ["point", "verdict", "shown by"], rows)])
}

fn lessons(review: &Review) -> Chapter {
    let rows = review.lessons.iter().map(|lesson| [Text::name(&*lesson.drill), words(&*lesson.lesson)]);
    chapter("lessons", "Lessons", [sheet("What should be looked into", ["drill", "what was seen"], rows)])
}
