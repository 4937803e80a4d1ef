use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use futures::TryStreamExt;

use super::*;

/// Rows numbered through, in batches of these sizes: the sizes that they come out with.
async fn check(sizes: &[i64], expected: &[usize]) {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let mut next = 0_i64;
    let batches: Vec<_> = sizes
        .iter()
        .map(|size| {
            let numbers = Int64Array::from_iter_values(next..next + size);
            next += size;
            Ok(RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(numbers)]).unwrap())
        })
        .collect();
    let rows = RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches));
    let even: Vec<RecordBatch> = in_batches_of(10, Box::pin(rows)).try_collect().await.unwrap();
    assert_eq!(even.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), expected, "{sizes:?}");
    let numbers = even.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
    assert_eq!(numbers.collect::<Vec<_>>(), (0..next).collect::<Vec<_>>(), "{sizes:?}");
}

#[tokio::test]
async fn batches_do_not_tell_what_rows_came_in() {
    check(&[], &[]).await;
    check(&[0, 0], &[]).await;
    check(&[25], &[10, 10, 5]).await;
    check(&[1, 0, 9, 3, 12], &[10, 10, 5]).await;
    check(&[10, 10], &[10, 10]).await;
}
