//! Names that were probably meant: for "did you mean" hints.

/// The candidate most like `name`, or none if nothing is like it.
///
/// The distance is that of Damerau and Levenshtein in its restricted form (an insertion, a deletion, a substitution
/// or a swap of two neighbours costs one; no part is edited twice), blind to case. A candidate may differ in a third
/// of the longer name's letters, and at least in one if the name has two or more. Of equals, the first one wins.
#[must_use]
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(name)?;
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let Some(letters) = folded(candidate) else { continue };
        let longer = wanted.len().max(letters.len());
        let mut allowed = (longer / 3).max(usize::from(wanted.len() > 1));
        if let Some((distance, _)) = best {
            if distance == 0 {
                break;
            }
            allowed = allowed.min(distance - 1);
        }
        if let Some(distance) = distance_within(&wanted, &letters, allowed) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Lower-case letters. None if there are none, or more than any name has: the work grows with their square.
fn folded(name: &str) -> Option<Vec<char>> {
    if name.is_empty() || name.len() > polder_types::limits::NAME_BYTES_MAX {
        return None;
    }
    Some(name.chars().flat_map(char::to_lowercase).collect())
}

fn distance_within(left: &[char], right: &[char], allowed: usize) -> Option<usize> {
    if left.len().abs_diff(right.len()) > allowed {
        return None;
    }
    let mut before: Vec<usize> = vec![0; right.len() + 1];
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut row = above.clone();
    for (i, &a) in left.iter().enumerate() {
        row[0] = i + 1;
        let mut least = row[0];
        for (j, &b) in right.iter().enumerate() {
            let substituted = above[j] + usize::from(a != b);
            let mut cost = substituted.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == right[j - 1] && left[i - 1] == b {
                cost = cost.min(before[j - 1] + 1);
            }
            row[j + 1] = cost;
            least = least.min(cost);
        }
        // A swap reaches back two rows, so one row beyond the bound does not yet end it.
        if least > allowed + 1 {
            return None;
        }
        std::mem::swap(&mut before, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    let distance = above[right.len()];
    (distance <= allowed).then_some(distance)
}

#[cfg(test)]
mod tests;
