use super::{Column, Layout};

/// Columns as `name:width` or `name:width>` for numbers, and what of them is shown as `index:width`, `…` for a gap.
fn check(columns: &str, width: usize, expected: &str) {
    let columns: Vec<Column> = columns
        .split_whitespace()
        .map(|text| {
            let (name, width) = text.split_once(':').unwrap();
            let right = width.ends_with('>');
            let mut column = Column::new(name, right);
            column.see(Some(&"x".repeat(width.trim_end_matches('>').parse().unwrap())));
            column
        })
        .collect();
    let layout = Layout::fit(&columns, Some(width));
    let shown: Vec<String> = layout
        .shown
        .iter()
        .map(|column| column.map_or("…".to_owned(), |(at, width)| format!("{at}:{width}")))
        .collect();
    assert_eq!(shown.join(" "), expected);
    if columns.len() > 1 {
        let used: usize = layout.shown.iter().map(|column| column.map_or(1, |(_, width)| width) + 3).sum();
        assert!(used - 1 <= width.max(20), "{used} of {width}");
    }
}

#[test]
fn all_of_it_when_there_is_room() {
    check("a:5 b:5>", 80, "0:5 1:5");
}

#[test]
fn the_widest_text_gives_way() {
    check("a:100 b:10>", 40, "0:25 1:10");
    check("a:100 b:100", 41, "0:18 1:18");
    check("a:100 b:15", 50, "0:30 1:15");
}

#[test]
fn columns_are_left_out_of_the_middle() {
    check("a:10> b:10> c:10> d:10> e:10> f:10>", 40, "0:10 … 5:10");
    check("a:10> b:10> c:10> d:10> e:10> f:10>", 50, "0:10 1:10 … 5:10");
}

#[test]
fn one_column_is_cut() {
    check("a:100", 20, "0:18");
}

fn row(cells: &[&str], width: Option<usize>) -> String {
    let mut columns: Vec<Column> = (0..cells.len()).map(|at| Column::new(&format!("c{at}"), false)).collect();
    for (column, cell) in columns.iter_mut().zip(cells) {
        column.see(Some(cell));
    }
    let cells: Vec<Option<String>> = cells.iter().map(|cell| Some((*cell).to_owned())).collect();
    Layout::fit(&columns, width).row(&columns, &cells, false)
}

#[test]
fn a_cell_of_several_lines_takes_several() {
    assert_eq!(row(&["a", "one\n  two\n", "z"], None), " a  │ one↵  │ z\n    │   two │\n");
    assert_eq!(row(&["a", "one\n\ntwo"], None), " a  │ one↵\n    │ ↵\n    │ two\n");
    assert_eq!(row(&["\n"], None), "\n");
}

#[test]
fn its_lines_are_folded_where_a_single_one_is_cut() {
    assert_eq!(row(&["abcdefghijklmnop"], Some(12)), " abcdefghi…\n");
    assert_eq!(row(&["abcdefghijklmnop\nqr"], Some(12)), " abcdefghij\n klmnop↵\n qr\n");
}
