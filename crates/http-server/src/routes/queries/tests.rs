use super::*;

#[test]
fn the_list_is_one_bounded_statement() {
    let check = |before: Option<Uuid>, search: Option<&str>, expected: &str| {
        let query = ListQuery { limit: 100, before, search: search.map(str::to_owned) };
        let sql = list_statement(&query);
        let (_, condition) = sql.split_once(" WHERE ").unwrap();
        assert_eq!(condition, expected);
    };
    check(None, None, "via <> 'internal' ORDER BY started_at DESC, query_id DESC LIMIT 100");
    check(
        None,
        Some("O'Hare %"),
        "via <> 'internal' AND strpos(lower(sql), 'o''hare %') > 0 ORDER BY started_at DESC, query_id DESC LIMIT 100",
    );
    let start = "(SELECT max(started_at) FROM polder.queries WHERE query_id = '00000000-0000-0000-0000-000000000000')";
    check(
        Some(Uuid::nil()),
        None,
        &format!(
            "via <> 'internal' AND (started_at < {start} OR (started_at = {start} AND \
             query_id < '00000000-0000-0000-0000-000000000000')) ORDER BY started_at DESC, query_id DESC LIMIT 100"
        ),
    );
}
