//! Mean and variance in one pass over batches.
//!
//! Within a batch: two passes, the second corrected for the rounding of the first. Between batches: the update of
//! Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances" (1979), which
//! is Welford's for batches of one.

/// Running sums are kept in lanes, so that the compiler can use vector registers.
const LANES: usize = 8;

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl Moments {
    pub(super) fn of(values: &[f64], weights: Option<&[u64]>) -> Self {
        let (count, sum, _) = sums(values, weights, 0.0);
        if count == 0.0 {
            return Self::default();
        }
        let near = sum / count;
        let (_, sum, squares) = sums(values, weights, near);
        let squares = squares - sum * sum / count;
        // Not `max`, which would make a zero of the NaN that tells of an overflow.
        Self { count, mean: near + sum / count, squares: if squares < 0.0 { 0.0 } else { squares } }
    }

    /// `shift`: what to add to the other's values, if they were counted from another origin.
    pub(super) fn merge(&mut self, other: Self, shift: f64) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = Self { mean: other.mean + shift, ..other };
            return;
        }
        let count = self.count + other.count;
        let apart = other.mean + shift - self.mean;
        self.mean += apart * (other.count / count);
        self.squares += other.squares + apart * apart * (self.count / count * other.count);
        self.count = count;
    }

    /// None of no values, and if the sum went beyond what a float holds.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.count > 0.0 && self.mean.is_finite()).then_some(self.mean)
    }

    /// Of a sample (divided by n - 1), as SQL's `stddev`. None of fewer than two values.
    pub(super) fn deviation(&self) -> Option<f64> {
        let variance = self.squares / (self.count - 1.0);
        (self.count > 1.0 && variance.is_finite()).then(|| variance.sqrt())
    }
}

/// Count, sum and sum of squares of the values less `shift`.
fn sums(values: &[f64], weights: Option<&[u64]>, shift: f64) -> (f64, f64, f64) {
    if let Some(weights) = weights {
        return values.iter().zip(weights).fold((0.0, 0.0, 0.0), |(count, sum, squares), (value, weight)| {
            let (away, weight) = (value - shift, *weight as f64);
            (count + weight, sum + away * weight, squares + away * away * weight)
        });
    }
    let (mut sums, mut squares) = ([0.0; LANES], [0.0; LANES]);
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            let away = chunk[lane] - shift;
            sums[lane] += away;
            squares[lane] += away * away;
        }
    }
    for (lane, value) in rest.iter().enumerate() {
        let away = value - shift;
        sums[lane] += away;
        squares[lane] += away * away;
    }
    (values.len() as f64, sums.iter().sum(), squares.iter().sum())
}

#[cfg(test)]
mod tests;
