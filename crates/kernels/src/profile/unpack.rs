//! Dictionaries and runs as distinct values with the number of rows that each stands for.
//!
//! They are never expanded: one long value that a million rows point at stays one value.

use arrow::array::{Array, ArrayRef, AsArray, RunArray, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{ArrowNativeType, DataType, Int16Type, Int32Type, Int64Type, RunEndIndexType};
use polder_types::{Error, Result};

/// Values with how many rows hold each; without weights, one each. Rows that a null key hides are left out.
pub(super) struct Unpacked {
    pub values: ArrayRef,
    pub weights: Option<Vec<u64>>,
}

pub(super) fn unpack(array: &ArrayRef) -> Result<Unpacked> {
    let mut unpacked = Unpacked { values: array.clone(), weights: None };
    loop {
        unpacked = match unpacked.values.data_type() {
            DataType::Dictionary(_, _) => dictionary(&unpacked)?,
            DataType::RunEndEncoded(_, _) => {
                let (values, lengths) = runs(&unpacked.values)?;
                let weights = match &unpacked.weights {
                    None => lengths,
                    Some(weights) => sum_over(weights, &lengths),
                };
                Unpacked { values, weights: Some(weights) }
            }
            _ => return Ok(unpacked),
        };
    }
}

/// What an array holds once dictionaries and runs are taken away.
pub(super) fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => value_type(values),
        DataType::RunEndEncoded(_, values) => value_type(values.data_type()),
        plain => plain,
    }
}

fn dictionary(packed: &Unpacked) -> Result<Unpacked> {
    let dictionary = packed.values.as_any_dictionary();
    let values = dictionary.values();
    if values.is_empty() {
        return Ok(Unpacked { values: values.clone(), weights: Some(Vec::new()) });
    }
    let weight = |row: usize| packed.weights.as_ref().map_or(1, |weights| weights[row]);
    let keys = dictionary.normalized_keys();
    let nulls = dictionary.keys().nulls();
    let rows = keys.into_iter().enumerate().filter(|(row, _)| nulls.is_none_or(|nulls| nulls.is_valid(*row)));
    let mut used: Vec<(u64, u64)> = Vec::new();
    if values.len() <= packed.values.len().saturating_mul(2) {
        let mut counts = vec![0; values.len()];
        rows.for_each(|(row, key)| counts[key] += weight(row));
        used.extend((0..).zip(counts).filter(|(_, count)| *count > 0));
    } else {
        // A large dictionary that many small batches share: look only at what this batch points at.
        used.extend(rows.map(|(row, key)| (key as u64, weight(row))));
        used.sort_unstable_by_key(|(key, _)| *key);
        used.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
    }
    let (keys, weights): (Vec<u64>, Vec<u64>) = used.into_iter().unzip();
    let values = if keys.len() == values.len() {
        values.clone()
    } else {
        take(values, &UInt64Array::from(keys), None)
            .map_err(|error| Error::internal("cannot read the values of a dictionary").with_source(error))?
    };
    Ok(Unpacked { values, weights: Some(weights) })
}

/// The values of a run-end encoded array and the length of each one's run.
pub(super) fn runs(array: &dyn Array) -> Result<(ArrayRef, Vec<u64>)> {
    if let Some(array) = array.as_any().downcast_ref::<RunArray<Int16Type>>() {
        Ok(runs_of(array))
    } else if let Some(array) = array.as_any().downcast_ref::<RunArray<Int32Type>>() {
        Ok(runs_of(array))
    } else if let Some(array) = array.as_any().downcast_ref::<RunArray<Int64Type>>() {
        Ok(runs_of(array))
    } else {
        Err(Error::unsupported(format!("cannot read runs of type {}", array.data_type())))
    }
}

fn runs_of<R: RunEndIndexType>(array: &RunArray<R>) -> (ArrayRef, Vec<u64>) {
    let mut start = 0;
    let length = |end: R::Native| {
        let end = end.as_usize() as u64;
        let length = end - start;
        start = end;
        length
    };
    (array.values_slice(), array.run_ends().sliced_values().map(length).collect())
}

/// Sums of neighbouring weights, `lengths[i]` of them at a time.
fn sum_over(weights: &[u64], lengths: &[u64]) -> Vec<u64> {
    let mut rest = weights.iter();
    lengths.iter().map(|length| rest.by_ref().take(*length as usize).sum()).collect()
}
