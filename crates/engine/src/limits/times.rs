//! Times as PostgreSQL shows them.

use crate::units::Unit;

/// With the largest unit of which it is a whole number.
pub(super) fn told(millis: Option<u64>) -> String {
    Unit::Milliseconds.shown(millis.map_or(0, |millis| i64::try_from(millis).unwrap_or(i64::MAX)))
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
