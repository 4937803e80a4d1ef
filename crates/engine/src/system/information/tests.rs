use std::collections::HashSet;

use super::*;

#[test]
fn what_is_filled_is_a_view_and_fits_its_columns() {
    let mut seen = HashSet::new();
    for (view, columns) in VIEWS {
        assert!(seen.insert(*view), "{view} is there twice");
        let fields = fields::whole(columns);
        let Some((_, kind)) = FILLED.iter().find(|(name, _)| name == view) else { continue };
        for column in kind.columns() {
            let field = fields.iter().find(|field| field.name() == column);
            let number = field.map(|field| field.data_type() == &DataType::Int32);
            assert_eq!(number, Some(fields::NUMBERS.contains(&column)), "{view}.{column}");
        }
        for field in &fields {
            let said = fields::constant(view, field.name());
            assert!(said.is_none() || !kind.columns().contains(&field.name().as_str()), "{view}.{}", field.name());
        }
    }
    assert!(FILLED.iter().all(|(name, _)| seen.contains(name)));
}
