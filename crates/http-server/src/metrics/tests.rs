use super::*;

#[test]
fn text_format() {
    let metrics = Metrics::default();
    for (status, millis) in [(StatusCode::OK, 3), (StatusCode::OK, 40), (StatusCode::NOT_FOUND, 700)] {
        metrics.request_started();
        metrics.request_answered("/api/v1/queries/{id}", &Method::GET, status);
        metrics.request_ended(&Method::GET, Duration::from_millis(millis));
    }
    metrics.received(100);
    metrics.sent(2000);
    let log = StoreCounts {
        written_bytes: 9_000,
        appends: 7,
        syncs: 3,
        cache_read_bytes: 800,
        disk_read_bytes: 60,
        damaged_segments: 1,
        held_bytes: 50,
    };
    let gauges = Gauges { statements_running: 2, loads_running: 1, sessions: 3, uploads: 4, log: Some(log) };
    let text = metrics.render(&gauges);
    let text: Vec<_> = text.lines().filter(|line| !line.starts_with("process_resident")).collect();
    insta::assert_snapshot!(text.iter().filter(|line| !line.starts_with('#')).copied().collect::<Vec<_>>().join("\n"), @r#"
    polder_http_requests_total{method="GET",route="/api/v1/queries/{id}",status="200"} 2
    polder_http_requests_total{method="GET",route="/api/v1/queries/{id}",status="404"} 1
    polder_http_request_duration_seconds_bucket{method="GET",le="0.005"} 1
    polder_http_request_duration_seconds_bucket{method="GET",le="0.025"} 1
    polder_http_request_duration_seconds_bucket{method="GET",le="0.1"} 2
    polder_http_request_duration_seconds_bucket{method="GET",le="0.5"} 2
    polder_http_request_duration_seconds_bucket{method="GET",le="1"} 3
    polder_http_request_duration_seconds_bucket{method="GET",le="5"} 3
    polder_http_request_duration_seconds_bucket{method="GET",le="30"} 3
    polder_http_request_duration_seconds_bucket{method="GET",le="300"} 3
    polder_http_request_duration_seconds_bucket{method="GET",le="+Inf"} 3
    polder_http_request_duration_seconds_sum{method="GET"} 0.743
    polder_http_request_duration_seconds_count{method="GET"} 3
    polder_http_requests_in_flight 0
    polder_http_received_bytes_total 100
    polder_http_sent_bytes_total 2000
    polder_statements_running 2
    polder_loads_running 1
    polder_http_sessions 3
    polder_uploads 4
    polder_log_written_bytes_total 9000
    polder_log_appends_total 7
    polder_log_syncs_total 3
    polder_log_read_bytes_total{from="cache"} 800
    polder_log_read_bytes_total{from="disk"} 60
    polder_log_damaged_segments 1
    polder_log_held_bytes 50
    "#);
}

#[test]
fn an_unknown_method_makes_no_new_label() {
    let check = |method: &str, expected| {
        assert_eq!(method_label(&Method::from_bytes(method.as_bytes()).unwrap()), expected);
    };
    check("GET", "GET");
    check("DELETE", "DELETE");
    check("BREW", "other");
}
