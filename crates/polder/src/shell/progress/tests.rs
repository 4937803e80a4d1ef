use polder_capability::{QueryProgress, QueryState};
use polder_types::QueryId;

use super::line;

#[test]
fn progress_names_what_is_known() {
    let check = |rows_scanned: u64, rows_total: Option<u64>, expected: &str| {
        let progress = QueryProgress {
            query_id: QueryId::new(),
            state: QueryState::Running,
            rows_scanned,
            bytes_scanned: 47_395_635,
            rows_total,
            rows_returned: 0,
            elapsed_ms: 1234,
        };
        assert_eq!(line(&progress), expected);
    };
    check(1_234_567, Some(3_000_000), "1,234,567 of 3,000,000 rows · 45.20 MiB · 1.2 s · Ctrl-C cancels");
    check(5, None, "5 rows · 45.20 MiB · 1.2 s · Ctrl-C cancels");
    check(5, Some(1), "5 rows · 45.20 MiB · 1.2 s · Ctrl-C cancels");
}
