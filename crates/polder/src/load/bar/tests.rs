use polder_capability::LoadProgress;

use super::line;

#[test]
fn a_line_names_what_is_known() {
    let progress = LoadProgress {
        phase: "loading".to_owned(),
        rows: 120_000,
        bytes_done: 30 << 20,
        bytes_total: Some(120 << 20),
        elapsed_ms: 2000,
        current_source: "flights.csv".to_owned(),
    };
    assert_eq!(line(&progress), "loading flights.csv: 120,000 rows, 30.00 MiB of 120.00 MiB, 15.00 MiB/s, 6 s left");
    let unknown = LoadProgress { bytes_total: None, elapsed_ms: 0, current_source: String::new(), ..progress };
    assert_eq!(line(&unknown), "loading: 120,000 rows, 30.00 MiB, 0 B/s");
}
