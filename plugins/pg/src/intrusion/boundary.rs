//! The search for the last clean point: backups first, because a copy is cheapest there, and then by halves.
//!
//! A search by halves is right only if what is dirty stays dirty. So each look is kept, and a clean one above a dirty one is told.

use std::collections::{BTreeMap, btree_map::Entry};

use lifeboat_plugin::Failure;

use super::{look::Look, moments::Point};

/// What was found for one of the two questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    /// The last point that was looked at and is clean.
    pub clean: usize,
    /// The first point behind it, which was looked at and is dirty; none where even the end is clean.
    pub dirty: Option<usize>,
    /// Points that are clean although one before them is dirty.
    pub contradictions: Vec<usize>,
}

/// The looks so far, by point.
#[derive(Debug, Default)]
pub struct BoundarySearch {
    looks: BTreeMap<usize, Look>,
}

impl BoundarySearch {
    /// How many points were looked at.
    pub fn looks(&self) -> usize {
        self.looks.len()
    }

    /// What was seen at a point.
    pub fn seen(&self, point: usize) -> Option<&Look> {
        self.looks.get(&point)
    }

    /// Looks at a point, once.
    pub fn look_at(
        &mut self,
        point: usize,
        look: &mut impl FnMut(usize) -> Result<Look, Failure>,
    ) -> Result<&Look, Failure> {
        match self.looks.entry(point) {
            Entry::Occupied(seen) => Ok(seen.into_mut()),
            Entry::Vacant(free) => Ok(free.insert(look(point)?)),
        }
    }

    /// The last clean point by that question. The first point was looked at and is clean, and the last one was looked at.
    pub fn boundary(
        &mut self,
        points: &[Point],
        is_dirty: fn(&Look) -> bool,
        look: &mut impl FnMut(usize) -> Result<Look, Failure>,
    ) -> Result<Boundary, Failure> {
        let (mut clean, mut dirty) = self.known(points.len(), is_dirty);
        while dirty - clean > 1 {
            let middle = next(points, clean, dirty);
            if is_dirty(self.look_at(middle, look)?) {
                dirty = middle;
            } else {
                clean = middle;
            }
        }
        let above = self.looks.range(dirty..).filter(|(_, look)| !is_dirty(look)).map(|(point, _)| *point);
        let contradictions = above.collect();
        Ok(Boundary { clean, dirty: (dirty < points.len()).then_some(dirty), contradictions })
    }

    /// The first point that is known to be dirty (the number of points where none is), and the last clean one before it.
    fn known(&self, points: usize, is_dirty: fn(&Look) -> bool) -> (usize, usize) {
        let dirty = self.looks.iter().find(|(_, look)| is_dirty(look)).map_or(points, |(point, _)| *point);
        let clean = self.looks.range(..dirty).next_back().map_or(0, |(point, _)| *point);
        (clean, dirty)
    }
}

/// Which point between the two is looked at next: one right behind a backup, the middle one of these, or the middle of all.
fn next(points: &[Point], clean: usize, dirty: usize) -> usize {
    let between: Vec<usize> = (clean + 1..dirty).collect();
    let backups: Vec<usize> = between.iter().copied().filter(|point| points[*point].backup.is_some()).collect();
    let from = if backups.is_empty() { between } else { backups };
    from[from.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::segment::Lsn;

    fn points(count: usize, backups: &[usize]) -> Vec<Point> {
        let point = |number: usize| Point {
            lsn: Lsn(number as u64),
            backup: backups.contains(&number).then(|| number.to_string()),
            is_end: number + 1 == count,
        };
        (0..count).map(point).collect()
    }

    fn look(data: bool, code: bool) -> Look {
        let said = |dirty: bool| if dirty { vec!["dirty".to_owned()] } else { Vec::new() };
        Look { data: said(data), code: said(code) }
    }

    /// Looks as the search does, where data is dirty from one point on and code from another.
    fn searched(count: usize, backups: &[usize], data: usize, code: usize) -> (Boundary, Boundary, Vec<usize>) {
        let points = points(count, backups);
        let mut looked = Vec::new();
        let mut see = |point: usize| {
            looked.push(point);
            Ok(look(point >= data, point >= code))
        };
        let mut search = BoundarySearch::default();
        search.look_at(0, &mut see).expect("a look");
        search.look_at(count - 1, &mut see).expect("a look");
        let of_code = search.boundary(&points, Look::has_dirty_code, &mut see).expect("a boundary");
        let of_data = search.boundary(&points, Look::has_dirty_data, &mut see).expect("a boundary");
        (of_data, of_code, looked)
    }

    #[test]
    fn both_boundaries_are_found_wherever_they_are() {
        for count in [2, 3, 17, 33] {
            for data in 1..count {
                for code in 1..=count {
                    let (of_data, of_code, looked) = searched(count, &[0, 4, 9, 20], data, code);
                    assert_eq!((of_data.clean, of_data.dirty), (data - 1, Some(data)), "{count} {data} {code}");
                    let dirty = (code < count).then_some(code);
                    assert_eq!((of_code.clean, of_code.dirty), (code - 1, dirty), "{count} {data} {code}");
                    let mut once = looked.clone();
                    once.sort_unstable();
                    once.dedup();
                    assert_eq!(once.len(), looked.len(), "no point is looked at twice");
                    assert!(looked.len() <= 18, "{looked:?}");
                }
            }
        }
    }

    #[test]
    fn backups_come_first() {
        assert_eq!(next(&points(33, &[0, 8, 16, 24]), 0, 32), 16);
        assert_eq!(next(&points(33, &[0, 8, 16, 24]), 16, 24), 20);
    }

    #[test]
    fn a_clean_point_above_a_dirty_one_is_told() {
        let points = points(9, &[]);
        let mut see = |point: usize| Ok(look((2..5).contains(&point) || point == 8, false));
        let mut search = BoundarySearch::default();
        for point in [0, 8, 6, 4] {
            search.look_at(point, &mut see).expect("a look");
        }
        let found = search.boundary(&points, Look::has_dirty_data, &mut see).expect("a boundary");
        assert_eq!((found.clean, found.dirty, found.contradictions), (1, Some(2), vec![6]));
    }
}
