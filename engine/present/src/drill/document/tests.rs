//! Sums over the episodes of a report.

use crate::drill::testing::report;

#[test]
fn an_episode_that_was_not_measured_hides_no_damage_and_promises_none() {
    let mut report = report();
    let episode = report.episodes.remove(0);
    let mut left = |residual: &[Option<usize>]| {
        report.episodes = vec![episode.clone(); residual.len()];
        for (episode, left) in report.episodes.iter_mut().zip(residual) {
            episode.rpo.residual_damage = *left;
        }
        report.residual_damage()
    };
    assert_eq!(left(&[Some(0), Some(0)]), Some(0));
    assert_eq!(left(&[Some(2), None]), Some(2));
    assert_eq!(left(&[Some(0), None]), None);
    assert_eq!(left(&[]), None);
}
