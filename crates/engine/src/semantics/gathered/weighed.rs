//! What `array_agg` holds, with the texts. It counts what it gathers by the length of a place of a text, and a place has sixteen
//! bytes however long the text is.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// The bytes of texts, and of lists of texts.
fn texts_in(arrays: &[ArrayRef]) -> usize {
    arrays.iter().map(texts_of).sum()
}

fn texts_of(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().lengths().map(|length| length as usize).sum(),
        DataType::BinaryView => array.as_binary_view().lengths().map(|length| length as usize).sum(),
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let ends = lists.value_offsets().first().zip(lists.value_offsets().last());
            ends.map_or(0, |(first, last)| {
                texts_of(&lists.values().slice(*first as usize, last.saturating_sub(*first) as usize))
            })
        }
        _ => 0,
    }
}

/// Either kind of accumulator, and the bytes of the texts that it holds.
#[derive(Debug)]
pub(super) struct Weighed<A: ?Sized> {
    inner: Box<A>,
    texts: usize,
}

impl<A: ?Sized> Weighed<A> {
    pub fn new(inner: Box<A>) -> Self {
        Self { inner, texts: 0 }
    }

    fn takes(&mut self, arrays: &[ArrayRef]) {
        self.texts = self.texts.saturating_add(texts_in(arrays));
    }

    fn gives(&mut self, arrays: &[ArrayRef]) {
        self.texts = self.texts.saturating_sub(texts_in(arrays));
    }

    /// What a FILTER left out was taken, and is not given.
    fn gives_groups(&mut self, all: bool, arrays: &[ArrayRef]) {
        if all {
            self.texts = 0;
        } else {
            self.gives(arrays);
        }
    }
}

impl Accumulator for Weighed<dyn Accumulator> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.takes(values);
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.inner.evaluate()
    }

    fn size(&self) -> usize {
        self.inner.size().saturating_add(self.texts)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.takes(states);
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.gives(values);
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

impl GroupsAccumulator for Weighed<dyn GroupsAccumulator> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.takes(values);
        self.inner.update_batch(values, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let all = matches!(emit_to, EmitTo::All);
        let lists = self.inner.evaluate(emit_to)?;
        self.gives_groups(all, std::slice::from_ref(&lists));
        Ok(lists)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let all = matches!(emit_to, EmitTo::All);
        let lists = self.inner.state(emit_to)?;
        self.gives_groups(all, &lists);
        Ok(lists)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.takes(values);
        self.inner.merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, opt_filter)
    }

    fn size(&self) -> usize {
        self.inner.size().saturating_add(self.texts)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ListArray, StringViewArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn texts_have_their_length() {
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some("x".repeat(100)), None, Some("abc".into())]));
        assert_eq!(texts_of(&texts), 103);
        let field = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let lists: ArrayRef = Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([2, 1]), texts, None));
        assert_eq!(texts_of(&lists.slice(1, 1)), 3);
        assert_eq!(texts_in(&[Arc::clone(&lists), lists]), 206);
    }
}
