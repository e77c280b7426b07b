//! The laws of policy: whatever plugins, people, clocks and crashes do, they hold.

mod cases;
mod doubt;
mod edges;
mod fan_out;
mod handlers;
mod laws;
mod limits;
mod operator;
mod pause;
mod plans;
mod refusals;
mod reopen;
mod world;

use lifeboat_core::event::Mode;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Plays random plans against random answers, and holds every decision against the laws.
    #[test]
    fn every_law_holds_in_every_run(
        plan in plans::plan(),
        mode in prop_oneof![3 => Just(Mode::Real), 1 => Just(Mode::DryRun)],
        moves in prop::collection::vec(any::<u16>(), 0..80),
    ) {
        let mut world = world::World::new(&plan, mode);
        for choice in moves {
            if world.is_over() {
                world.ask_for(choice);
            } else {
                world.play(choice);
            }
        }
        world.finish();
        laws::outcome(&plan, &world);
    }

    /// `apply` is total: any event at any time is legal or refused, and a refused one changes nothing.
    #[test]
    fn apply_is_total(plan in plans::plan(), events in prop::collection::vec(plans::event(), 0..60)) {
        let mut run = lifeboat_core::run::Run::new(&plan);
        run.apply(world::start(), &world::started(&plan)).expect("the first event");
        for event in events {
            let before = run.clone();
            if run.apply(world::start(), &event).is_err() {
                prop_assert_eq!(&before, &run);
            }
        }
    }
}
