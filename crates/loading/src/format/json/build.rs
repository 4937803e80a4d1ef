//! JSON values to Arrow arrays, nested as they are.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StructArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields};
use polder_types::{Error, Result};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::evidence::Key;
use crate::infer::types;
use crate::text::column::{ColumnBuilder, ColumnPlan, Misfit};

/// Values of one place under construction. After each document it has exactly one more.
pub(crate) enum Builder {
    Scalar(ColumnBuilder),
    List { item: Box<Builder>, ends: Vec<i32>, valid: Vec<bool>, field: FieldRef },
    Object { fields: Vec<Builder>, names: Fields, valid: Vec<bool> },
}

/// What is the matter with a value, and where.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// The first one of a document.
    pub reason: Option<String>,
}

impl Builder {
    pub(crate) fn new(plan: &ColumnPlan, data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::List(field) => Self::List {
                item: Box::new(Self::new(plan, field.data_type())?),
                ends: vec![0],
                valid: Vec::new(),
                field: field.clone(),
            },
            DataType::Struct(names) => Self::Object {
                fields: names.iter().map(|field| Self::new(plan, field.data_type())).collect::<Result<_>>()?,
                names: names.clone(),
                valid: Vec::new(),
            },
            scalar => {
                Self::Scalar(ColumnBuilder::new(&ColumnPlan { data_type: scalar.clone(), ..plan.clone() }, 1024)?)
            }
        })
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Scalar(column) => column.len(),
            Self::List { valid, .. } | Self::Object { valid, .. } => valid.len(),
        }
    }

    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Scalar(column) => column.push_null(),
            Self::List { item, ends, valid, .. } => {
                ends.push(end_of(item));
                valid.push(false);
            }
            Self::Object { fields, valid, .. } => {
                valid.push(false);
                for field in fields {
                    field.pad(valid.len());
                }
            }
        }
    }

    pub(crate) fn last_is_missing(&self) -> bool {
        match self {
            Self::Scalar(column) => column.last_is_missing(),
            Self::List { valid, .. } | Self::Object { valid, .. } => valid.last() == Some(&false),
        }
    }

    /// Makes it `len` long, whatever a broken document has left behind.
    pub(crate) fn pad(&mut self, len: usize) {
        while self.len() < len {
            self.push_null();
        }
    }

    pub(crate) fn finish(self) -> Result<ArrayRef> {
        let wrong = |error| Error::internal("nested values do not make an array").with_source(error);
        match self {
            Self::Scalar(column) => column.finish(),
            Self::List { item, ends, valid, field } => {
                let items = item.finish()?;
                let list =
                    ListArray::try_new(field, OffsetBuffer::new(ends.into()), items, nulls(valid)).map_err(wrong)?;
                Ok(Arc::new(list))
            }
            Self::Object { fields, names, valid } => {
                let arrays: Result<Vec<ArrayRef>> = fields.into_iter().map(Self::finish).collect();
                Ok(Arc::new(StructArray::try_new(names, arrays?, nulls(valid)).map_err(wrong)?))
            }
        }
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Scalar(column) if column.is_text())
    }
}

fn end_of(item: &Builder) -> i32 {
    i32::try_from(item.len()).unwrap_or(i32::MAX)
}

fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    valid.contains(&false).then(|| NullBuffer::new(BooleanBuffer::from(valid)))
}

/// Puts one value into a builder. A value that does not fit leaves a gap and a reason.
pub(crate) struct Put<'a> {
    pub builder: &'a mut Builder,
    pub trouble: &'a mut Trouble,
}

impl Put<'_> {
    fn scalar<E>(
        self,
        shown: impl fmt::Display,
        push: impl FnOnce(&mut ColumnBuilder) -> Result<(), Misfit>,
    ) -> Result<(), E> {
        let kind = match &mut *self.builder {
            Builder::Scalar(column) => match push(column) {
                Ok(()) => return Ok(()),
                Err(Misfit) => types::to_sql(column.data_type()),
            },
            Builder::List { .. } => "list".into(),
            Builder::Object { .. } => "object".into(),
        };
        if !matches!(self.builder, Builder::Scalar(_)) {
            self.builder.push_null();
        }
        let shown: String = shown.to_string().chars().take(100).collect();
        self.trouble.reason.get_or_insert_with(|| format!("{shown} is no {kind}"));
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Put<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Put<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.scalar(value, |column| column.push_bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.scalar(value, |column| column.push_i64(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.scalar(value, |column| match i64::try_from(value) {
            Ok(value) => column.push_i64(value),
            #[allow(clippy::cast_precision_loss, reason = "a column of fractions")]
            Err(_) if column.is_double() => column.push_f64(value as f64),
            Err(_) => column.push(value.to_string().as_bytes(), false),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.scalar(value, |column| column.push_f64(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        // An empty text is a text, so it counts as quoted.
        self.scalar(format_args!("{text:?}"), |column| column.push(text.as_bytes(), true))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.builder.push_null();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if self.builder.is_text() {
            let whole = rest_of_list(&mut items)?;
            return self.scalar("a list", |column| column.push(whole.to_string().as_bytes(), true));
        }
        if let Builder::List { item, ends, valid, .. } = &mut *self.builder {
            let outcome = (|| {
                while items.next_element_seed(Put { builder: item, trouble: self.trouble })?.is_some() {}
                Ok(())
            })();
            ends.push(end_of(item));
            valid.push(true);
            return outcome;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.scalar("a list", ColumnBuilder::misfit)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        if self.builder.is_text() {
            let whole = rest_of_object(&mut entries)?;
            return self.scalar("an object", |column| column.push(whole.to_string().as_bytes(), true));
        }
        if let Builder::Object { fields, names, valid } = &mut *self.builder {
            let outcome = put_fields(&mut entries, fields, names, valid.len(), self.trouble);
            valid.push(true);
            for field in fields {
                field.pad(valid.len());
            }
            return outcome;
        }
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.scalar("an object", ColumnBuilder::misfit)
    }
}

fn put_fields<'de, A: MapAccess<'de>>(
    entries: &mut A,
    fields: &mut [Builder],
    names: &Fields,
    row: usize,
    trouble: &mut Trouble,
) -> Result<(), A::Error> {
    let mut guess = 0;
    while let Some(key) = entries.next_key_seed(Key)? {
        let at_guess = names.get(guess).is_some_and(|field| *field.name() == *key);
        let place = if at_guess { Some(guess) } else { names.iter().position(|field| *field.name() == *key) };
        guess += 1;
        match place.and_then(|place| fields.get_mut(place)) {
            Some(builder) if builder.len() == row => entries.next_value_seed(Put { builder, trouble })?,
            Some(_) => {
                entries.next_value::<IgnoredAny>()?;
                trouble.reason.get_or_insert_with(|| format!("the key {key:?} is there twice"));
            }
            None => {
                entries.next_value::<IgnoredAny>()?;
                trouble.reason.get_or_insert_with(|| format!("the key {key:?} has no place in the table's column"));
            }
        }
    }
    Ok(())
}

/// The list whose beginning a visitor has seen already.
fn rest_of_list<'de, A: SeqAccess<'de>>(items: &mut A) -> Result<serde_json::Value, A::Error> {
    let mut list = Vec::new();
    while let Some(item) = items.next_element()? {
        list.push(item);
    }
    Ok(serde_json::Value::Array(list))
}

/// The object whose beginning a visitor has seen already.
fn rest_of_object<'de, A: MapAccess<'de>>(entries: &mut A) -> Result<serde_json::Value, A::Error> {
    let mut object = serde_json::Map::new();
    while let Some((key, value)) = entries.next_entry::<String, serde_json::Value>()? {
        if object.insert(key, value).is_some() {
            return Err(A::Error::custom("a key is there twice"));
        }
    }
    Ok(serde_json::Value::Object(object))
}

/// One document into the columns of a table. `keys`: for each column, its key.
pub(crate) struct PutDocument<'a> {
    pub columns: &'a mut [Builder],
    pub places: &'a std::collections::HashMap<String, usize>,
    /// The keys of the columns, for the guess that documents are alike.
    pub keys: &'a [String],
    /// Keys that the user leaves out.
    pub skipped: &'a std::collections::HashSet<String>,
    pub row: usize,
    pub trouble: &'a mut Trouble,
    /// The column where the trouble is.
    pub column: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for PutDocument<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PutDocument<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut guess = 0;
        while let Some(key) = entries.next_key_seed(Key)? {
            let at_guess = self.keys.get(guess).is_some_and(|known| *known == *key);
            let place = if at_guess { Some(guess) } else { self.places.get(&*key).copied() };
            guess = place.map_or(guess, |place| place + 1);
            match place.and_then(|place| self.columns.get_mut(place)) {
                Some(builder) if builder.len() == self.row => {
                    let before = self.trouble.reason.is_some();
                    entries.next_value_seed(Put { builder, trouble: self.trouble })?;
                    if !before && self.trouble.reason.is_some() {
                        *self.column = Some(key.into_owned());
                    }
                }
                Some(_) => {
                    entries.next_value::<IgnoredAny>()?;
                    self.trouble.reason.get_or_insert_with(|| format!("the key {key:?} is there twice"));
                }
                None => {
                    entries.next_value::<IgnoredAny>()?;
                    if !self.skipped.contains(&*key) {
                        self.trouble.reason.get_or_insert_with(|| format!("the key {key:?} has no column"));
                    }
                }
            }
        }
        Ok(())
    }
}
