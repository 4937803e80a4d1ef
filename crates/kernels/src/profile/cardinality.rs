//! HyperLogLog: how many different hashes went by, in 16 KiB, with a standard error of 0.81 %.
//!
//! Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog" (2007), with the estimator of O. Ertl, "New cardinality
//! estimation algorithms for HyperLogLog sketches" (2017, arXiv:1702.01284, algorithm 6), which is unbiased over the
//! whole range and needs no table of corrections.

/// Bits of the hash that choose a register.
const PRECISION: u32 = 14;
const REGISTERS: usize = 1 << PRECISION;
/// Bits that are left to count zeros in.
const REST: u32 = 64 - PRECISION;

/// `1 / (2 ln 2)`.
const ALPHA: f64 = 0.5 / std::f64::consts::LN_2;

#[derive(Clone)]
pub(super) struct HyperLogLog {
    registers: Vec<u8>,
}

impl HyperLogLog {
    pub(super) fn new() -> Self {
        Self { registers: vec![0; REGISTERS] }
    }

    pub(super) fn add(&mut self, hash: u64) {
        let register = &mut self.registers[(hash >> REST) as usize];
        // The marker bit bounds the rank at REST + 1.
        let rank = ((hash << PRECISION) | (1 << (PRECISION - 1))).leading_zeros() as u8 + 1;
        *register = (*register).max(rank);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (register, other) in self.registers.iter_mut().zip(&other.registers) {
            *register = (*register).max(*other);
        }
    }

    pub(super) fn estimate(&self) -> u64 {
        let mut counts = [0u32; REST as usize + 2];
        for register in &self.registers {
            counts[usize::from(*register)] += 1;
        }
        let m = REGISTERS as f64;
        let full = f64::from(counts[REST as usize + 1]);
        let mut z = m * tau(1.0 - full / m);
        for count in counts[1..=REST as usize].iter().rev() {
            z = 0.5 * (z + f64::from(*count));
        }
        z += m * sigma(f64::from(counts[0]) / m);
        (ALPHA * m * m / z).round() as u64
    }
}

fn sigma(mut x: f64) -> f64 {
    let mut weight = 1.0;
    let mut sum = x;
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        // At x = 1, no register in use, the sum runs to infinity and the estimate to zero.
        if sum == before || sum.is_infinite() {
            return sum;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let mut weight = 1.0;
    let mut sum = 1.0 - x;
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests;
