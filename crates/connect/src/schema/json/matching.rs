//! The largest set of pairs in which nobody occurs twice (Hopcroft and Karp).

use std::collections::VecDeque;

/// Pairs each of `edges.len()` lefts with one of `rights` rights that its edges name, as many as possible; gives the right
/// of each left.
pub(super) fn largest_matching(edges: &[Vec<usize>], rights: usize) -> Vec<Option<usize>> {
    let mut matching = Matching { edges, of_left: vec![None; edges.len()], of_right: vec![None; rights] };
    while let Some(layers) = matching.layers() {
        let mut next = vec![0; edges.len()];
        for left in 0..edges.len() {
            if matching.of_left[left].is_none() {
                matching.augment(left, &layers, &mut next);
            }
        }
    }
    matching.of_left
}

struct Matching<'a> {
    edges: &'a [Vec<usize>],
    of_left: Vec<Option<usize>>,
    of_right: Vec<Option<usize>>,
}

impl Matching<'_> {
    /// How far each left is from a free one, along pairs and then edges; `None` when no free right can be reached.
    fn layers(&self) -> Option<Vec<usize>> {
        let mut layers = vec![usize::MAX; self.edges.len()];
        let mut queue: VecDeque<usize> = VecDeque::new();
        for (left, right) in self.of_left.iter().enumerate() {
            if right.is_none() {
                layers[left] = 0;
                queue.push_back(left);
            }
        }
        let mut found = false;
        while let Some(left) = queue.pop_front() {
            for right in &self.edges[left] {
                match self.of_right[*right] {
                    None => found = true,
                    Some(next) if layers[next] == usize::MAX => {
                        layers[next] = layers[left] + 1;
                        queue.push_back(next);
                    }
                    Some(_) => {}
                }
            }
        }
        found.then_some(layers)
    }

    /// Looks for a free right from `start`, layer by layer, and shifts the pairs on the way.
    fn augment(&mut self, start: usize, layers: &[usize], next: &mut [usize]) {
        // The lefts on the way, each with the right that it goes on by.
        let mut path: Vec<usize> = vec![start];
        while let Some(left) = path.last().copied() {
            let Some(right) = self.edges[left].get(next[left]).copied() else {
                path.pop();
                if let Some(previous) = path.last() {
                    next[*previous] += 1;
                }
                continue;
            };
            match self.of_right[right] {
                None => {
                    for left in path {
                        let right = self.edges[left][next[left]];
                        self.of_left[left] = Some(right);
                        self.of_right[right] = Some(left);
                    }
                    return;
                }
                Some(owner) if layers[owner] == layers[left] + 1 && next[owner] < self.edges[owner].len() => {
                    path.push(owner);
                }
                Some(_) => next[left] += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edges: &[&[usize]], rights: usize, expected: usize) {
        let edges: Vec<Vec<usize>> = edges.iter().map(|edges| edges.to_vec()).collect();
        let matching = largest_matching(&edges, rights);
        let pairs: Vec<(usize, usize)> = matching
            .iter()
            .enumerate()
            .filter_map(|(left, right)| right.map(|right| (left, right)))
            .collect();
        let mut used: Vec<usize> = pairs.iter().map(|(_, right)| *right).collect();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used.len(), pairs.len(), "a right is used twice: {pairs:?}");
        assert!(pairs.iter().all(|(left, right)| edges[*left].contains(right)), "no such edge: {pairs:?}");
        assert_eq!(pairs.len(), expected, "{edges:?}");
    }

    #[test]
    fn as_many_as_possible_are_paired() {
        check(&[], 0, 0);
        check(&[&[]], 1, 0);
        check(&[&[0], &[0]], 1, 1);
        check(&[&[0, 1], &[0]], 2, 2);
        check(&[&[0, 1], &[0, 1], &[1, 2]], 3, 3);
        check(&[&[0, 1], &[0], &[0, 2], &[2, 3]], 4, 4);
        check(&[&[0], &[0, 1], &[1, 2], &[2, 3], &[3]], 4, 4);
    }

    #[test]
    fn no_pairing_of_a_small_graph_is_larger() {
        let best = |edges: &[Vec<usize>]| {
            fn go(edges: &[Vec<usize>], used: u32) -> usize {
                let Some((first, rest)) = edges.split_first() else { return 0 };
                let free = first.iter().filter(|right| used & (1 << **right) == 0);
                free.map(|right| 1 + go(rest, used | (1 << right))).max().unwrap_or(0).max(go(rest, used))
            }
            go(edges, 0)
        };
        for bits in 0..1u32 << 16 {
            let edges: Vec<Vec<usize>> = (0..4)
                .map(|left| (0..4).filter(|right| bits & (1 << (left * 4 + right)) != 0).collect())
                .collect();
            let found = largest_matching(&edges, 4).iter().flatten().count();
            assert_eq!(found, best(&edges), "{edges:?}");
        }
    }
}
