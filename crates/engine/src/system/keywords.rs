//! `pg_get_keywords()`: the words of SQL, which drivers tell their programs.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::MemTable;
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;
use polder_types::Error;

use super::external;
use crate::functions::strings::is_reserved;
use crate::functions::types;

#[derive(Debug)]
pub(super) struct KeywordsFunction;

fn schema() -> Schema {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    Schema::new(vec![
        text("word"),
        types::of_catalog(text("catcode"), "char"),
        Field::new("barelabel", DataType::Boolean, true),
        text("catdesc"),
        text("baredesc"),
    ])
}

impl TableFunctionImpl for KeywordsFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        if !args.exprs().is_empty() {
            return Err(external(Error::invalid("pg_get_keywords() takes no arguments").with_code("42883")));
        }
        let words: Vec<String> = ALL_KEYWORDS.iter().map(|word| word.to_lowercase()).collect();
        let reserved: Vec<bool> = words.iter().map(|word| is_reserved(word)).collect();
        let texts = |of: [&'static str; 2]| -> ArrayRef {
            Arc::new(reserved.iter().map(|reserved| Some(of[usize::from(*reserved)])).collect::<StringViewArray>())
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(words.iter().map(Some).collect::<StringViewArray>()),
            texts(["U", "R"]),
            Arc::new(BooleanArray::from(reserved.iter().map(|reserved| !reserved).collect::<Vec<_>>())),
            texts(["unreserved", "reserved"]),
            texts(["can be bare label", "requires AS"]),
        ];
        let schema = Arc::new(schema());
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}
