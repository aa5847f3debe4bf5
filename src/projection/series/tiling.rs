//! Fills a period with shorter ones.

/// A period that may be a part of another: [`from`, `to`), in day numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// First day, inclusive.
    pub from: i32,
    /// Day after the last, exclusive.
    pub to: i32,
    /// Which candidate it is.
    pub index: usize,
}

/// A way to fill a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiling {
    /// The parts, in order.
    pub parts: Vec<Tile>,
    /// What no part covers, in order.
    pub gaps: Vec<(i32, i32)>,
}

/// What is best from some day to the end of the period.
#[derive(Clone, Copy, Debug)]
struct Best {
    day: i32,
    /// Days not covered, then parts: less is better.
    cost: (i32, usize),
    step: Step,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Part(Tile),
    Skip(i32),
    End,
}

/// Fills [`from`, `to`) with tiles that lie within, without overlap: as few days as possible uncovered, then as few parts
/// as possible; of equal ways the one whose earlier parts are shorter, and a part rather than a gap.
#[must_use]
pub fn tile(from: i32, to: i32, mut tiles: Vec<Tile>) -> Tiling {
    tiles.retain(|tile| tile.from >= from && tile.to <= to && tile.from < tile.to);
    tiles.sort_by_key(|tile| (tile.from, tile.to, tile.index));
    let mut days: Vec<i32> = tiles.iter().flat_map(|tile| [tile.from, tile.to]).chain([from, to]).collect();
    days.sort_unstable();
    days.dedup();
    // From the last day back; `best` is by falling day.
    let mut best: Vec<Best> = vec![Best { day: to, cost: (0, 0), step: Step::End }];
    let mut pending = tiles.as_slice();
    for day in days.into_iter().rev().filter(|day| *day < to) {
        let first = pending.partition_point(|tile| tile.from < day);
        let (before, starting) = pending.split_at(first);
        pending = before;
        let Some(next) = best.last().copied() else { break };
        let mut found: Option<Best> = None;
        for tile in starting {
            let Some(rest) = cost_from(&best, tile.to) else { continue };
            let cost = (rest.0, rest.1.saturating_add(1));
            if found.is_none_or(|found| cost < found.cost) {
                found = Some(Best { day, cost, step: Step::Part(*tile) });
            }
        }
        let skipped = (next.cost.0.saturating_add(next.day.saturating_sub(day)), next.cost.1);
        if found.is_none_or(|found| skipped < found.cost) {
            found = Some(Best { day, cost: skipped, step: Step::Skip(next.day) });
        }
        best.extend(found);
    }
    walk(from, &best)
}

fn at(best: &[Best], day: i32) -> Option<&Best> {
    best.binary_search_by(|held| day.cmp(&held.day)).ok().and_then(|index| best.get(index))
}

fn cost_from(best: &[Best], day: i32) -> Option<(i32, usize)> {
    at(best, day).map(|held| held.cost)
}

fn walk(from: i32, best: &[Best]) -> Tiling {
    let mut tiling = Tiling::default();
    let mut day = from;
    while let Some(held) = at(best, day) {
        match held.step {
            Step::Part(tile) => {
                tiling.parts.push(tile);
                day = tile.to;
            }
            Step::Skip(next) => {
                match tiling.gaps.last_mut() {
                    Some((_, end)) if *end == day => *end = next,
                    Some(_) | None => tiling.gaps.push((day, next)),
                }
                day = next;
            }
            Step::End => break,
        }
    }
    tiling
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tiles: &[(i32, i32)], parts: &[usize], gaps: &[(i32, i32)]) {
        let given = tiles.iter().enumerate().map(|(index, (from, to))| Tile { from: *from, to: *to, index });
        let found = tile(0, 12, given.collect());
        assert_eq!(found.parts.iter().map(|part| part.index).collect::<Vec<_>>(), parts, "{tiles:?}");
        assert_eq!(found.gaps, gaps, "{tiles:?}");
    }

    #[test]
    fn the_fewest_parts_that_leave_the_least_open() {
        check(&[(0, 3), (3, 6), (6, 9), (9, 12)], &[0, 1, 2, 3], &[]);
        check(&[(0, 3), (3, 6), (0, 6), (6, 12)], &[2, 3], &[]);
        check(&[(0, 3), (6, 9)], &[0, 1], &[(3, 6), (9, 12)]);
        check(&[], &[], &[(0, 12)]);
        // Two ways of two parts: the one that begins with the shorter.
        check(&[(0, 6), (6, 12), (0, 3), (3, 12)], &[2, 3], &[]);
        // Overlap: less open comes before fewer parts.
        check(&[(0, 11), (0, 6), (6, 12)], &[1, 2], &[]);
        check(&[(-3, 3), (9, 15), (3, 3)], &[], &[(0, 12)]);
    }
}
