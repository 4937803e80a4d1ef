//! Amounts of settings, written with a unit as PostgreSQL reads and shows them.

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Things,
    Bytes,
    Kibibytes,
    /// Pages of 8 KiB.
    Pages,
    Milliseconds,
}

impl Unit {
    /// The units that a value may be written in, the largest first, and what they are of this one.
    const fn units(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Things => &[],
            Self::Bytes => &[
                ("TB", 1_099_511_627_776.0),
                ("GB", 1_073_741_824.0),
                ("MB", 1_048_576.0),
                ("kB", 1_024.0),
                ("B", 1.0),
            ],
            Self::Kibibytes => {
                &[("TB", 1_073_741_824.0), ("GB", 1_048_576.0), ("MB", 1_024.0), ("kB", 1.0), ("B", 0.000_976_562_5)]
            }
            Self::Pages => {
                &[("TB", 134_217_728.0), ("GB", 131_072.0), ("MB", 128.0), ("kB", 0.125), ("B", 0.000_122_070_312_5)]
            }
            Self::Milliseconds => &[
                ("d", 86_400_000.0),
                ("h", 3_600_000.0),
                ("min", 60_000.0),
                ("s", 1_000.0),
                ("ms", 1.0),
                ("us", 0.001),
            ],
        }
    }

    /// The number that is meant, rounded; `None`: it is none.
    pub(crate) fn count(self, value: &str) -> Option<i64> {
        let counted = match real(value) {
            Some(number) => number,
            None => {
                let ends = value.find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, '.' | '+' | '-'))?;
                let (digits, unit) = value.split_at_checked(ends)?;
                let (_, factor) = self.units().iter().find(|(name, _)| *name == unit.trim())?;
                real(digits)? * factor
            }
        };
        // Larger than any bound is enough to know.
        Some(counted.round_ties_even() as i64)
    }

    /// In the largest unit that it is a whole number of.
    pub(crate) fn shown(self, count: i64) -> String {
        if count <= 0 {
            return count.to_string();
        }
        let whole = self.units().iter().find_map(|(name, factor)| {
            let number = count as f64 / factor;
            (number.fract() == 0.0).then(|| format!("{number:.0}{name}"))
        });
        whole.unwrap_or_else(|| count.to_string())
    }
}

/// A number, as it is written in SQL.
pub(crate) fn real(value: &str) -> Option<f64> {
    value.parse::<f64>().ok().filter(|number| number.is_finite())
}
