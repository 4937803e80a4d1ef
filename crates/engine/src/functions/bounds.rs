//! How much may be made of one batch of rows: asked before it is made, by whatever makes much of little.

use std::cell::Cell;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use polder_types::{Error, ErrorKind};

use crate::error::into_datafusion;
use crate::system::pg_catalog::World;

/// What one value may take, as in PostgreSQL.
const VALUE_MAX: usize = 0x3fff_ffff;

/// What the values of one column may take that are made at one go: rows wait for each other no longer than this takes.
const BATCH_MAX: usize = 1 << 30;

/// A batch of ordinary rows takes so much. A statement that may have less memory than this is not refused for having one.
const BATCH_LEAST: usize = 16 << 20;

/// What a constant may take that the planner puts in place of a call. It copies its constants, and one that is longer is made when
/// it is needed.
const FOLDED_MAX: usize = 1 << 20;

thread_local! {
    static FOLDING: Cell<bool> = const { Cell::new(false) };
}

/// Runs what puts constants in place of calls, in this thread: those that get long are refused, and stay calls.
pub(crate) fn folding<T>(planned: impl FnOnce() -> T) -> T {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            FOLDING.set(self.0);
        }
    }
    let _back = Back(FOLDING.replace(true));
    planned()
}

/// After so many bytes it is asked whether anybody still waits for them. A row counts as some, however short it is.
const LOOK_EVERY: usize = 4 << 20;
const ROW_LOOKED: usize = 1 << 10;

/// What may be made at one go in a statement.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'a> {
    /// Of all values of a batch together.
    bytes: usize,
    world: Option<&'a World>,
}

impl<'a> Bound<'a> {
    /// That of no statement.
    pub const WIDEST: Bound<'static> = Bound { bytes: BATCH_MAX, world: None };

    #[cfg(test)]
    pub const fn exactly(bytes: usize) -> Bound<'static> {
        Bound { bytes, world: None }
    }

    /// That of the statement that a function is called in: what it may have of memory, and never more than 1 GiB.
    pub fn of(config: &'a ConfigOptions) -> Self {
        Self::of_given(config, || 0)
    }

    /// As [`Self::of`], of what so many bytes are made into: where a text is a constant, what is read from it may be one.
    pub fn of_given(config: &'a ConfigOptions, given: impl FnOnce() -> usize) -> Self {
        let world = config.extensions.get::<World>();
        let memory = world.and_then(|world| world.limits().now.statement_memory);
        let memory = memory.map_or(BATCH_MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let most = memory.clamp(BATCH_LEAST, BATCH_MAX);
        let bytes = if FOLDING.get() { most.min(given().saturating_mul(2).max(FOLDED_MAX)) } else { most };
        Self { bytes, world }
    }

    /// Whether a value may be so many bytes long; none stands for more than can be counted.
    ///
    /// # Errors
    /// 54000, as PostgreSQL says it, and 53200 for what the statement has no memory for.
    pub fn check_length(self, bytes: Option<usize>) -> Result<()> {
        match bytes {
            Some(bytes) if bytes <= VALUE_MAX => self.check_batch(bytes),
            _ => {
                let error = Error::new(ErrorKind::TooLarge, "requested length too large").with_code("54000");
                Err(into_datafusion(error.with_hint("a value has at most 1 GiB")))
            }
        }
    }

    /// Whether so many bytes may be made at once.
    ///
    /// # Errors
    /// 53200.
    pub fn check_batch(self, bytes: usize) -> Result<()> {
        if bytes <= self.bytes {
            return Ok(());
        }
        let (most, hint) = if self.bytes < BATCH_MAX {
            (
                format!("{} bytes (statement_memory)", self.bytes),
                "let it make shorter values, or have statement_memory raised",
            )
        } else {
            ("1 GiB".to_owned(), "let it make shorter values, or fewer at once")
        };
        let message = format!("what a function makes of one batch of rows takes more than {most}");
        let error = Error::new(ErrorKind::Exhausted, message).with_code("53200");
        Err(into_datafusion(error.with_hint(hint)))
    }

    /// Whether anybody still waits for what is made. A plan is stopped between its batches; a batch may take long.
    ///
    /// # Errors
    /// That of a statement that was cancelled, or has no time left.
    pub fn check_waited_for(self) -> Result<()> {
        let Some(running) = self.world.and_then(World::running) else { return Ok(()) };
        if running.token.is_cancelled() {
            return Err(into_datafusion(Error::cancelled()));
        }
        running.allowance().check_read(running.bytes_read()).map_err(into_datafusion)
    }

    /// Whether these values may be written as texts: each of them takes an eighth of its bytes at the least.
    ///
    /// # Errors
    /// 53200.
    pub fn check_written(self, arrays: &[ArrayRef]) -> Result<()> {
        let bytes = arrays.iter().map(|array| bytes_of(array)).sum::<Result<usize>>()?;
        self.check_batch(bytes / 8)
    }

    /// The values of one call, which are told of one by one.
    pub fn made(self) -> Made<'a> {
        Made { bound: self, bytes: 0, unlooked: 0 }
    }

    /// A text that is told how long it gets.
    pub fn text(self) -> Text<'a> {
        Text { made: self.made(), text: String::new() }
    }
}

/// What a call has made so far.
pub(crate) struct Made<'a> {
    bound: Bound<'a>,
    bytes: usize,
    unlooked: usize,
}

impl Made<'_> {
    /// One more value.
    ///
    /// # Errors
    /// As [`Bound::check_length`], [`Bound::check_batch`] and [`Bound::check_waited_for`].
    pub fn value(&mut self, bytes: usize) -> Result<()> {
        self.bound.check_length(Some(bytes))?;
        self.part(bytes)
    }

    /// One more part of a value.
    fn part(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.bound.check_batch(self.bytes)?;
        self.look(bytes)
    }

    /// What takes its time, whatever is made.
    pub fn look(&mut self, bytes: usize) -> Result<()> {
        self.unlooked = self.unlooked.saturating_add(bytes).saturating_add(ROW_LOOKED);
        if self.unlooked >= LOOK_EVERY {
            self.unlooked = 0;
            self.bound.check_waited_for()?;
        }
        Ok(())
    }
}

/// A text in the making, which ends in an error before it gets too long.
pub(crate) struct Text<'a> {
    made: Made<'a>,
    text: String,
}

impl Text<'_> {
    /// # Errors
    /// As [`Made::value`].
    pub fn push(&mut self, part: &str) -> Result<()> {
        self.made.bound.check_length(self.text.len().checked_add(part.len()))?;
        self.made.part(part.len())?;
        self.text.push_str(part);
        Ok(())
    }

    /// As often as it is said, a letter of one byte.
    ///
    /// # Errors
    /// As [`Made::value`].
    pub fn fill(&mut self, letter: char, times: usize) -> Result<()> {
        self.made.bound.check_length(self.text.len().checked_add(times))?;
        self.made.part(times)?;
        self.text.extend(std::iter::repeat_n(letter, times));
        Ok(())
    }

    /// A part of it was looked at, and nothing is added.
    ///
    /// # Errors
    /// As [`Bound::check_waited_for`].
    pub fn look(&mut self) -> Result<()> {
        self.made.look(0)
    }

    pub fn done(self) -> String {
        self.text
    }
}

/// A value of more bytes is not copied without need.
const LONG: usize = 64 << 10;

/// What is the same in all of so many rows, of which `array` has the one value. The only row has it as it is: a scalar is a copy,
/// and whoever is given one copies it again.
pub(crate) fn same_in_all(array: ArrayRef, rows: usize) -> Result<ColumnarValue> {
    if rows == 1 && array.len() == 1 && array.get_array_memory_size() > LONG {
        return Ok(ColumnarValue::Array(array));
    }
    ScalarValue::try_from_array(&array, 0).map(ColumnarValue::Scalar)
}

/// The bytes of the values that a column shows, without those that it only shares with others.
pub(crate) fn bytes_of(array: &dyn Array) -> Result<usize> {
    match array.data_type() {
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let (Some(first), Some(last)) = (lists.value_offsets().first(), lists.value_offsets().last()) else {
                return Ok(0);
            };
            let shown = lists.values().slice(*first as usize, (last - first) as usize);
            Ok(size_of_val(lists.value_offsets()) + bytes_of(&shown)?)
        }
        DataType::Map(..) => {
            let maps = array.as_map();
            let (Some(first), Some(last)) = (maps.offsets().first(), maps.offsets().last()) else { return Ok(0) };
            let shown = maps.entries().slice(*first as usize, (last - first) as usize);
            Ok(size_of_val::<[i32]>(maps.offsets()) + bytes_of(&shown)?)
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| bytes_of(column)).sum(),
        // Rows that share a text have a copy each as soon as they are written or cast.
        DataType::Utf8View => {
            let texts = array.as_string_view();
            Ok(size_of_val::<[u128]>(texts.views()) + texts.lengths().map(|length| length as usize).sum::<usize>())
        }
        _ => Ok(array.to_data().get_slice_memory_size()?),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ListArray, StringArray, StringViewArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn how_much_values_take() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1); 1000]), Some(vec![Some(2)])]);
        assert_eq!(bytes_of(&lists.slice(1, 1)).unwrap(), 2 * 4 + 8);
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(["x".repeat(1000), "y".into()]));
        assert!(bytes_of(&texts.slice(1, 1)).unwrap() < 100);
        let shared = StringViewArray::from_iter_values(["x".repeat(1000), "y".into()]);
        assert_eq!(bytes_of(&shared.slice(0, 1)).unwrap(), 16 + 1000);
        assert_eq!(bytes_of(&shared.slice(1, 1)).unwrap(), 16 + 1);
    }

    #[test]
    fn what_may_be_made() {
        let config = ConfigOptions::default();
        let plain = Bound::of(&config);
        let code = |refused: Result<()>| crate::error::from_datafusion(refused.unwrap_err()).code().to_owned();
        assert!(plain.check_length(Some(VALUE_MAX)).is_ok());
        assert_eq!(code(plain.check_length(Some(VALUE_MAX + 1))), "54000");
        assert_eq!(code(plain.check_length(None)), "54000");
        assert_eq!(code(plain.check_batch(BATCH_MAX + 1)), "53200");
        let folded = |bytes| folding(|| Bound::of(&config).check_batch(bytes));
        assert!(folded(FOLDED_MAX).is_ok());
        assert_eq!(code(folded(FOLDED_MAX + 1)), "53200");
        let read = |bytes| folding(|| Bound::of_given(&config, || FOLDED_MAX).check_batch(bytes));
        assert!(read(2 * FOLDED_MAX).is_ok());
        assert_eq!(code(read(2 * FOLDED_MAX + 1)), "53200");
        assert!(plain.check_batch(FOLDED_MAX + 1).is_ok() && Bound::of(&config).check_batch(FOLDED_MAX + 1).is_ok());
        let little = Bound { bytes: BATCH_LEAST, world: None };
        assert_eq!(code(little.check_length(Some(BATCH_LEAST + 1))), "53200");
        let mut made = little.made();
        assert!(made.value(BATCH_LEAST).is_ok());
        assert_eq!(code(made.value(1)), "53200");
        let mut text = Bound { bytes: 3, world: None }.text();
        assert!(text.push("abc").is_ok());
        assert_eq!(code(text.push("d")), "53200");
        assert_eq!(text.done(), "abc");
    }
}
