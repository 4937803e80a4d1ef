//! How large things are.

use arrow::array::ArrayRef;
use arrow::datatypes::{Decimal128Type, Int64Type};
use datafusion::common::Result;

use super::relation_of;
use crate::functions::function::Call;
use crate::functions::types;
use crate::system::pg_catalog::World;
use crate::system::pg_catalog::directory::Of;
use crate::system::pg_catalog::relations::bytes;

/// Bytes of a table's files. Indexes are parts of them, and a view has none.
pub(super) fn files(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    call.values::<Int64Type>(|row| {
        let Some(relation) = relation_of(call, world, row)? else { return Ok(None) };
        Ok(Some(match (relation.of, world.table(relation)) {
            // How much is in a table is for those who may read it.
            (Of::Table(id), Some(_)) if !world.rights().reads(id) => return Ok(None),
            (Of::Table(_), Some(table)) => bytes(table),
            _ => 0,
        }))
    })
}

pub(super) fn of_indexes(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    call.values::<Int64Type>(|row| Ok(relation_of(call, world, row)?.map(|_| 0)))
}

pub(super) fn all(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let total: i64 = world.snapshot().tables.values().map(|table| bytes(table)).sum();
    call.values::<Int64Type>(|_| Ok(Some(total)))
}

const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];

/// A unit is left behind when the number has reached ten times the step from it to the next one.
const LIMIT: i128 = 10 * 1_024;

/// PostgreSQL's rule: a number is halved with one more bit than is shown, which says how to round.
/// (`src/backend/utils/adt/dbsize.c`.)
fn with_unit(bytes: i128) -> String {
    if bytes.abs() < LIMIT {
        return format!("{bytes} {}", UNITS[0]);
    }
    let mut number = bytes / 512;
    for (at, unit) in UNITS.iter().enumerate().skip(1) {
        if at + 1 == UNITS.len() || number.abs() < 2 * LIMIT - 1 {
            let rounded = (number + number.signum()) / 2;
            return format!("{rounded} {unit}");
        }
        number /= 1_024;
    }
    format!("{bytes} {}", UNITS[0])
}

pub(super) fn pretty(call: &Call<'_>) -> Result<ArrayRef> {
    let numbers = call.primitive::<Int64Type>(0);
    call.texts(|row| Ok(Some(with_unit(i128::from(numbers.value(row))))))
}

/// Of a number with a fraction, which is cut off.
pub(super) fn pretty_number(call: &Call<'_>) -> Result<ArrayRef> {
    let numbers = call.primitive::<Decimal128Type>(0);
    let (_, scale) = types::digits(call.arrays[0].data_type());
    let unit = 10_i128.checked_pow(scale.unsigned_abs().into()).unwrap_or(i128::MAX);
    call.texts(|row| {
        let value = numbers.value(row);
        Ok(Some(with_unit(if scale < 0 { value.saturating_mul(unit) } else { value / unit })))
    })
}

#[cfg(test)]
mod tests {
    use super::with_unit;

    #[test]
    fn units_change_at_ten_times_the_step() {
        for (bytes, written) in [
            (0, "0 bytes"),
            (10_239, "10239 bytes"),
            (10_240, "10 kB"),
            (1_572_864, "1536 kB"),
            (10_485_247, "10239 kB"),
            (10_485_248, "10 MB"),
            (-20_480, "-20 kB"),
        ] {
            assert_eq!(with_unit(bytes), written, "{bytes}");
        }
    }
}
