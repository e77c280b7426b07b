//! What will happen, ordered by when; what happens at one instant, by which was planned first.

use std::{cmp::Ordering, collections::BinaryHeap};

use jiff::Timestamp;

/// A heap ordered by `(time, sequence)`, earliest first.
#[derive(Debug, Default)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Planned<T>>,
    planned: u64,
}

#[derive(Debug)]
struct Planned<T> {
    at: Timestamp,
    sequence: u64,
    what: T,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), planned: 0 }
    }

    pub(super) fn plan(&mut self, at: Timestamp, what: T) {
        self.planned += 1;
        self.heap.push(Planned { at, sequence: self.planned, what });
    }

    /// When the next thing happens.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.heap.peek().map(|planned| planned.at)
    }

    pub(super) fn pop(&mut self) -> Option<(Timestamp, T)> {
        self.heap.pop().map(|planned| (planned.at, planned.what))
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.heap.clear();
    }
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Reversed: the heap gives out its greatest first.
impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_of_two_the_one_planned_first() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut queue = Queue::new();
        for (second, what) in [(3, "d"), (1, "a"), (2, "b"), (2, "c")] {
            queue.plan(at(second), what);
        }
        assert_eq!(queue.next_at(), Some(at(1)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_, what)| what).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
    }
}
