use std::collections::BTreeSet;

use lifeboat_core::plan::Variant;

use super::*;
use crate::{
    fixture::{EVERYTHING, TWO_PEOPLE, nested, played, subject},
    lives::Played,
};

fn mix(subject: &Subject, seed: u64) -> Mix {
    Mix::new(subject, seed, &Selection::all())
}

/// What of these faults came to its place.
fn met<'a>(played: &Played, faults: &'a [Planned]) -> impl Iterator<Item = &'a Planned> {
    let truth = &played.truth;
    faults.iter().filter(move |fault| match fault {
        Planned::Call { purpose, step, nth, .. } => {
            truth.calls.iter().any(|call| (call.purpose, &call.step, call.nth) == (*purpose, step, *nth))
        }
        Planned::Question { step, nth, .. } => truth.askings.iter().any(|(asked, count)| asked == step && count >= nth),
        Planned::Append { nth, .. } => truth.durable.len() as u32 + 1 >= *nth,
    })
}

/// Where the faults of the first cases came, without the faults themselves.
fn places(subject: &Subject, cases: u64) -> BTreeSet<String> {
    let mix = mix(subject, 1);
    let mut places = BTreeSet::new();
    for case in (0..cases).map(|number| mix.case(number)) {
        let played = play(subject, &case);
        let place = |fault: &Planned| fault.to_string().split_once('@').map(|(_, place)| place.to_owned());
        places.extend(met(&played, &case.faults).filter_map(place));
    }
    places
}

#[test]
fn a_single_fault_comes_to_its_place() {
    let both = Variant::ALL.map(|variant| played(nested(variant)));
    for subject in [subject(EVERYTHING), subject(TWO_PEOPLE)].into_iter().chain(both) {
        let mix = mix(&subject, 1);
        let (all, left_out) = mix.singles(u64::MAX);
        assert_eq!(left_out, 0);
        for case in (1..=all).map(|number| mix.case(2 * number)) {
            let played = play(&subject, &case);
            let missed: Vec<_> =
                case.faults.iter().filter(|fault| !met(&played, &case.faults).any(|met| met == *fault)).collect();
            assert_eq!(missed, [] as [&Planned; 0], "{case}");
        }
    }
}

#[test]
fn faults_meet_calls_of_items_of_called_runbooks_and_of_handlers() {
    let met = places(&played(nested(Variant::Disaster)), 400);
    for step in ["copy[0]", "copy[1]", "rebuild/fill"] {
        for purpose in ["", "observe:", "undo:"] {
            assert!(met.contains(&format!("{purpose}{step}#1")), "{purpose}{step} of {met:?}");
        }
    }
    for step in ["page", "farewell"] {
        assert!(met.contains(&format!("{step}#1")), "{step} of {met:?}");
    }
}

/// The singles among the first so many that have a fault at that place.
fn singles_at(mix: &Mix, most: usize, place: &str) -> usize {
    let ends = |single: &&Single| single.faults.iter().any(|fault| fault.to_string().ends_with(place));
    mix.single.iter().take(most).filter(ends).count()
}

#[test]
fn both_questions_of_an_approval_by_two_people_are_met() {
    let mix = mix(&subject(TWO_PEOPLE), 1);
    assert_eq!([1, 2].map(|nth| singles_at(&mix, usize::MAX, &format!("@agree#{nth}"))), [QuestionFault::ALL.len(); 2]);
}

#[test]
fn where_there_is_no_room_for_all_some_of_each_kind_are_played() {
    let mix = mix(&played(nested(Variant::Disaster)), 1);
    for place in ["@survey#1", "@observe:seize#1", "@undo:rebuild/build#1", "@page#1", "@rebuild/commit#1"] {
        assert!(singles_at(&mix, 100, place) > 0, "{place}");
    }
}

#[test]
fn what_only_an_operator_takes_back_is_met() {
    let met = places(&subject(&EVERYTHING.replace("    on_failure: undo\n", "")), 400);
    assert!(met.contains("undo:make#1") && met.contains("undo:write#1"), "{met:?}");
}

#[test]
fn another_seed_plays_other_cases() {
    let subject = subject(EVERYTHING);
    let cases = |seed| {
        let mix = mix(&subject, seed);
        (0..1_000).map(|number| mix.case(number).to_string()).collect::<BTreeSet<_>>()
    };
    let (one, three) = (cases(1), cases(3));
    assert_eq!(one.len(), 1_000, "no case is played twice");
    assert_eq!(one.intersection(&three).count(), 0);
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let mix = mix(&subject(EVERYTHING), 1);
    let (all, left_out) = mix.singles(0);
    assert!(all > 100 && all == left_out, "{all}");
    assert_eq!(mix.singles(2 * all), (all, 1));
    assert_eq!(mix.singles(2 * all + 1), (all, 0));
}
