//! Times as PostgreSQL shows them.

/// Units and their milliseconds, the largest first.
const UNITS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)];

/// With the largest unit of which it is a whole number.
pub(super) fn told(millis: Option<u64>) -> String {
    let Some(millis) = millis else { return "0".to_owned() };
    let whole = UNITS.iter().find(|(_, scale)| millis % scale == 0);
    whole.map_or_else(|| format!("{millis}ms"), |(unit, scale)| format!("{}{unit}", millis / scale))
}

#[cfg(test)]
mod tests {
    use polder_capability::millis;

    use super::*;

    #[test]
    fn times_are_read_and_told() {
        for (text, told_as) in [
            ("0", "0"),
            ("250", "250ms"),
            ("5s", "5s"),
            ("1.5s", "1500ms"),
            ("600 s", "10min"),
            ("90min", "90min"),
            ("24h", "1d"),
            ("2000us", "2ms"),
        ] {
            assert_eq!(told(millis("statement_timeout", text).unwrap()), told_as, "{text}");
        }
        for text in ["", "soon", "5 parsecs", "-1", "100d", "1-2"] {
            assert_eq!(millis("statement_timeout", text).unwrap_err().code(), "22023", "{text}");
        }
    }
}
