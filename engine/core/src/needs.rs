//! What needs what, as a graph of steps by their places: an order, circles, and what stands before or behind a step. No other room
//! knows the library of graphs.

use std::{cmp::Reverse, collections::BinaryHeap, iter};

use petgraph::{
    Direction::{Incoming, Outgoing},
    graph::{DiGraph, NodeIndex},
    visit::{Bfs, Dfs, Reversed, VisitMap, Visitable},
};

/// A set of places, a bit each: the library's own, in which its walks note where they have been.
type Places = <DiGraph<(), ()> as Visitable>::Map;

/// The steps of a runbook or a plan, each with an edge from everything that it needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Needs(DiGraph<(), ()>);

/// Which steps have always ended when one starts.
#[derive(Debug)]
pub(crate) struct Ancestors(Vec<Places>);

/// Steps that need each other: each needs the next, and the last needs the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Circle(pub(crate) Vec<usize>);

impl Needs {
    /// The graph of steps of which each is given with the places that it needs: sorted, each once.
    pub(crate) fn of<'a>(steps: impl ExactSizeIterator<Item = &'a [usize]> + DoubleEndedIterator) -> Self {
        let mut graph = DiGraph::with_capacity(steps.len(), 0);
        for _ in 0..steps.len() {
            graph.add_node(());
        }
        // The library goes over the edges of a node from the last one that was added to the first.
        for (step, needs) in steps.enumerate().rev() {
            for need in needs.iter().rev() {
                graph.add_edge(node(*need), node(step), ());
            }
        }
        Self(graph)
    }

    /// What the step needs itself, in order.
    pub(crate) fn of_step(&self, step: usize) -> impl Iterator<Item = usize> + Clone {
        self.0.neighbors_directed(node(step), Incoming).map(NodeIndex::index)
    }

    /// The steps that need this one itself, in order.
    pub(crate) fn dependents(&self, step: usize) -> impl Iterator<Item = usize> {
        self.0.neighbors_directed(node(step), Outgoing).map(NodeIndex::index)
    }

    /// All that the step needs, directly or not, the nearest first.
    pub(crate) fn before(&self, step: usize) -> impl Iterator<Item = usize> {
        let needs = Reversed(&self.0);
        let mut search = Bfs::new(needs, node(step));
        iter::from_fn(move || search.next(needs)).map(NodeIndex::index).skip(1)
    }

    /// These steps and all that need them, directly or not, in order.
    pub(crate) fn behind(&self, first: &[usize]) -> Vec<usize> {
        let stack = first.iter().copied().map(node).collect();
        let mut search = Dfs::from_parts(stack, self.0.visit_map());
        while search.next(&self.0).is_some() {}
        search.discovered.ones().collect()
    }

    /// An order in which every need comes first; where that leaves a choice, the order of the places. The library's own order
    /// takes what is free by the way in which it came there, so the choice is made here.
    pub(crate) fn sequence(&self) -> Result<Vec<usize>, Circle> {
        let mut open: Vec<usize> = (0..self.0.node_count()).map(|step| self.of_step(step).count()).collect();
        let mut free: BinaryHeap<_> = self.0.externals(Incoming).map(Reverse).collect();
        let mut sequence = Vec::with_capacity(open.len());
        while let Some(Reverse(step)) = free.pop() {
            sequence.push(step.index());
            for dependent in self.dependents(step.index()) {
                open[dependent] -= 1;
                if open[dependent] == 0 {
                    free.push(Reverse(node(dependent)));
                }
            }
        }
        if sequence.len() == open.len() { Ok(sequence) } else { Err(self.circle(|step| open[step] > 0)) }
    }

    /// Every step that is left over needs another one that is left over: following the first of those, one comes round. The
    /// library tells which steps are in circles, but of no circle how it goes.
    fn circle(&self, is_left: impl Fn(usize) -> bool) -> Circle {
        let first = (0..self.0.node_count()).find(|step| is_left(*step));
        let walk = iter::successors(first, |step| self.of_step(*step).find(|need| is_left(*need)));
        let (mut path, mut seen) = (Vec::new(), self.0.visit_map());
        for step in walk {
            if !seen.visit(step) {
                let start = path.iter().position(|seen| *seen == step);
                return Circle(path.split_off(start.unwrap_or_default()));
            }
            path.push(step);
        }
        Circle(path)
    }

    /// `sequence`: that of these steps.
    pub(crate) fn ancestors(&self, sequence: &[usize]) -> Ancestors {
        let mut ancestors = vec![self.0.visit_map(); self.0.node_count()];
        for step in sequence {
            let mut before = std::mem::take(&mut ancestors[*step]);
            for need in self.of_step(*step) {
                before.union_with(&ancestors[need]);
                before.insert(need);
            }
            ancestors[*step] = before;
        }
        Ancestors(ancestors)
    }
}

impl Ancestors {
    /// Whether `earlier` has always ended when `later` starts.
    pub(crate) fn is_before(&self, earlier: usize, later: usize) -> bool {
        self.0.get(later).is_some_and(|before| before.contains(earlier))
    }
}

impl PartialEq for Needs {
    fn eq(&self, other: &Self) -> bool {
        let edges =
            |needs: &Self| needs.0.raw_edges().iter().map(|edge| (edge.source(), edge.target())).collect::<Vec<_>>();
        self.0.node_count() == other.0.node_count() && edges(self) == edges(other)
    }
}

fn node(place: usize) -> NodeIndex {
    NodeIndex::new(place)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{prelude::*, sample::Index};

    use super::*;

    fn of(steps: &[Vec<usize>]) -> Needs {
        Needs::of(steps.iter().map(Vec::as_slice))
    }

    /// Up to twelve steps that may need each other in circles.
    fn drawn() -> impl Strategy<Value = Vec<Vec<usize>>> {
        let needs = |count| prop::collection::btree_set(0..count, 0..3.min(count));
        let steps = (1..12_usize).prop_flat_map(move |count| prop::collection::vec(needs(count), count));
        steps.prop_map(|steps| steps.into_iter().map(|needs| needs.into_iter().collect()).collect())
    }

    /// Up to twelve steps that each need some of those before them in another order than that of their places.
    fn without_circles() -> impl Strategy<Value = Vec<Vec<usize>>> {
        let needs = prop::collection::vec(any::<Index>(), 0..3);
        let steps = prop::collection::vec(needs, 1..12).prop_flat_map(|needs| {
            let order: Vec<usize> = (0..needs.len()).collect();
            (Just(needs), Just(order).prop_shuffle())
        });
        steps.prop_map(|(needs, order)| {
            let mut steps = vec![Vec::new(); order.len()];
            for (rank, needs) in needs.iter().enumerate().skip(1) {
                let needs: BTreeSet<usize> = needs.iter().map(|need| order[need.index(rank)]).collect();
                steps[order[rank]] = needs.into_iter().collect();
            }
            steps
        })
    }

    /// What each step needs, directly or not, found by looking again until nothing new is found.
    fn all_needs(steps: &[Vec<usize>]) -> Vec<BTreeSet<usize>> {
        let mut all: Vec<BTreeSet<usize>> = steps.iter().map(|needs| needs.iter().copied().collect()).collect();
        loop {
            let further =
                |needs: &BTreeSet<usize>| needs.iter().flat_map(|need| &all[*need]).chain(needs).copied().collect();
            let next: Vec<BTreeSet<usize>> = all.iter().map(further).collect();
            if next == all {
                return all;
            }
            all = next;
        }
    }

    proptest! {
        #[test]
        fn every_need_comes_first_and_what_is_free_in_the_order_of_the_places(steps in without_circles()) {
            let sequence = of(&steps).sequence().expect("an order");
            for (rank, step) in sequence.iter().enumerate() {
                let done = &sequence[..rank];
                let is_free = |step: &usize| !done.contains(step) && steps[*step].iter().all(|need| done.contains(need));
                prop_assert_eq!((0..steps.len()).find(is_free), Some(*step));
            }
            prop_assert_eq!(sequence.len(), steps.len());
        }

        #[test]
        fn there_is_an_order_or_a_circle_that_goes_round_once(steps in drawn()) {
            let needs_itself = all_needs(&steps).iter().enumerate().any(|(step, all)| all.contains(&step));
            let found = of(&steps).sequence();
            prop_assert_eq!(found.is_err(), needs_itself);
            if let Err(Circle(circle)) = found {
                let next = circle.iter().cycle().skip(1);
                prop_assert!(circle.iter().zip(next).all(|(step, need)| steps[*step].contains(need)), "{:?}", circle);
                prop_assert_eq!(circle.iter().collect::<BTreeSet<_>>().len(), circle.len());
            }
        }

        #[test]
        fn what_stands_before_a_step_and_behind_it_is_all_that_needs_lead_to(steps in without_circles()) {
            let (graph, all) = (of(&steps), all_needs(&steps));
            let ancestors = graph.ancestors(&graph.sequence().expect("an order"));
            for (step, all) in all.iter().enumerate() {
                prop_assert_eq!(&graph.before(step).collect::<BTreeSet<_>>(), all);
                prop_assert_eq!(&(0..steps.len()).filter(|need| ancestors.is_before(*need, step)).collect::<BTreeSet<_>>(), all);
                prop_assert_eq!(graph.of_step(step).collect::<Vec<_>>(), steps[step].clone());
            }
            for step in 0..steps.len() {
                let behind = |other: &usize| *other == step || all[*other].contains(&step);
                prop_assert_eq!(graph.behind(&[step]), (0..steps.len()).filter(behind).collect::<Vec<_>>());
                let needing = |other: &usize| steps[*other].contains(&step);
                let dependents: Vec<usize> = (0..steps.len()).filter(needing).collect();
                prop_assert_eq!(graph.dependents(step).collect::<Vec<_>>(), dependents);
            }
        }
    }

    #[test]
    fn the_circle_told_is_the_one_that_the_first_waiting_step_leads_to() {
        let circle = |steps: &[&[usize]]| Needs::of(steps.iter().copied()).sequence().map_err(|circle| circle.0);
        assert_eq!(circle(&[&[1], &[2], &[0]]), Err(vec![0, 1, 2]));
        assert_eq!(circle(&[&[], &[0, 3], &[3], &[2]]), Err(vec![3, 2]), "what waits for it is not in it");
        assert_eq!(circle(&[&[0]]), Err(vec![0]), "itself");
        assert_eq!(circle(&[&[1, 2], &[0], &[0]]), Err(vec![0, 1]), "the first need");
        assert_eq!(circle(&[&[], &[2], &[1], &[4], &[3]]), Err(vec![1, 2]), "the first of two");
    }

    #[test]
    fn the_nearest_stand_first_before_a_step() {
        let needs: [&[usize]; 5] = [&[], &[], &[0, 1], &[0], &[2, 3]];
        assert_eq!(Needs::of(needs.into_iter()).before(4).collect::<Vec<_>>(), [2, 3, 0, 1]);
    }
}
