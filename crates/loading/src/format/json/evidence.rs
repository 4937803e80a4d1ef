//! What the values of one place in many JSON documents have shown, and the type that holds them all.

use std::collections::HashMap;
use std::fmt;

use arrow::datatypes::{DataType, Field};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::infer::dates::{self, Day};
use crate::infer::types::{TEXT, TIMESTAMP, timestamptz};

/// Keys of one object over all documents. More are a dictionary, not columns, and are kept as JSON text.
pub(crate) const KEYS_MAX: usize = 1000;

/// Bits of what was seen.
const BOOL: u16 = 1;
const INT: u16 = 1 << 1;
const LONG: u16 = 1 << 2;
const DOUBLE: u16 = 1 << 3;
const TEXTUAL: u16 = 1 << 4;
const DATE: u16 = 1 << 5;
const STAMP: u16 = 1 << 6;
const STAMP_ZONE: u16 = 1 << 7;
const LIST: u16 = 1 << 8;
const OBJECT: u16 = 1 << 9;
/// A text for a float that JSON has no number for.
const NO_NUMBER: u16 = 1 << 10;
/// All kinds of texts.
const TEXTS: u16 = TEXTUAL | DATE | STAMP | STAMP_ZONE | NO_NUMBER;

#[derive(Debug, Clone, Default)]
pub(crate) struct JsonEvidence {
    seen: u16,
    item: Option<Box<JsonEvidence>>,
    fields: Vec<(String, JsonEvidence)>,
    places: HashMap<String, usize>,
    too_many_keys: bool,
}

impl JsonEvidence {
    /// The keys of objects seen here, in the order in which they came.
    pub(crate) fn into_fields(self) -> Vec<(String, JsonEvidence)> {
        self.fields
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(key, _)| key.as_str())
    }

    pub(crate) fn too_many_keys(&self) -> bool {
        self.too_many_keys
    }

    /// The evidence for a key, made if it is new. `guess`: where it stood in the last object.
    fn field(&mut self, key: &str, guess: usize) -> Option<&mut JsonEvidence> {
        let place = if self.fields.get(guess).is_some_and(|(known, _)| known == key) {
            guess
        } else if let Some(place) = self.places.get(key) {
            *place
        } else {
            if self.fields.len() == KEYS_MAX {
                self.too_many_keys = true;
                return None;
            }
            self.fields.push((key.to_owned(), JsonEvidence::default()));
            self.places.insert(key.to_owned(), self.fields.len() - 1);
            self.fields.len() - 1
        };
        self.fields.get_mut(place).map(|(_, evidence)| evidence)
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.seen |= other.seen;
        self.too_many_keys |= other.too_many_keys;
        if let Some(item) = other.item {
            self.item.get_or_insert_default().merge(*item);
        }
        for (key, evidence) in other.fields {
            if let Some(field) = self.field(&key, usize::MAX) {
                field.merge(evidence);
            }
        }
    }

    /// The type of the values here. Values of unlike kinds become text: words as they are, all else as JSON.
    pub(crate) fn data_type(&self) -> DataType {
        let within = |allowed: u16| self.seen & !allowed == 0;
        match self.seen {
            0 => TEXT,
            BOOL => DataType::Boolean,
            INT => DataType::Int64,
            _ if within(INT | LONG) => DataType::Decimal128(20, 0),
            _ if within(INT | LONG | DOUBLE) => DataType::Float64,
            // Not beside whole numbers alone: a double has fewer digits than they.
            _ if self.seen & DOUBLE != 0 && within(INT | LONG | DOUBLE | NO_NUMBER) => DataType::Float64,
            DATE => DataType::Date32,
            STAMP_ZONE => timestamptz(),
            _ if within(DATE | STAMP) => TIMESTAMP,
            LIST => {
                let item = self.item.as_ref().map_or(TEXT, |item| item.data_type());
                DataType::List(Field::new_list_field(item, true).into())
            }
            OBJECT => self.struct_type(),
            _ => TEXT,
        }
    }

    fn struct_type(&self) -> DataType {
        let mut folded: Vec<String> = self.fields.iter().map(|(key, _)| key.to_lowercase()).collect();
        folded.sort_unstable();
        // The lake's names differ in more than case, and are never empty.
        let clash = folded.windows(2).any(|pair| pair[0] == pair[1]) || folded.first().is_some_and(String::is_empty);
        if self.fields.is_empty() || self.too_many_keys || clash {
            return TEXT;
        }
        let fields: Vec<Field> =
            self.fields.iter().map(|(key, evidence)| Field::new(key, evidence.data_type(), true)).collect();
        DataType::Struct(fields.into())
    }

    /// Words to a user about the type.
    pub(crate) fn remark(&self) -> Option<String> {
        if self.too_many_keys {
            return Some(format!("kept as JSON text, because it has more than {KEYS_MAX} different keys"));
        }
        let mixed = self.data_type() == TEXT && self.seen & !TEXTS != 0;
        let kinds = [
            (BOOL, "truth values"),
            (INT | LONG | DOUBLE, "numbers"),
            (TEXTS, "text"),
            (LIST, "lists"),
            (OBJECT, "objects"),
        ];
        let found: Vec<&str> = kinds.iter().filter(|(bits, _)| self.seen & bits != 0).map(|(_, word)| *word).collect();
        mixed.then(|| format!("kept as JSON text, because it holds {}", found.join(" and ")))
    }
}

/// Looks at one value; the text was checked to be valid JSON before, so nothing is half-seen.
pub(crate) struct Look<'a>(pub &'a mut JsonEvidence);

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.0.seen |= BOOL;
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.0.seen |= INT;
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.seen |= if i64::try_from(value).is_ok() { INT } else { LONG };
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.0.seen |= DOUBLE;
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.0.seen & TEXTUAL == 0 {
            self.0.seen |= text_kind(text);
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.seen |= LIST;
        let item = self.0.item.get_or_insert_default();
        while items.next_element_seed(Look(item))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.0.seen |= OBJECT;
        let mut guess = 0;
        while let Some(key) = entries.next_key_seed(Key)? {
            match self.0.field(&key, guess) {
                Some(field) => entries.next_value_seed(Look(field))?,
                None => entries.next_value::<serde::de::IgnoredAny>().map(|_| ())?,
            }
            guess += 1;
        }
        Ok(())
    }
}

/// Only forms that machines write: a JSON text is mostly meant to be one.
fn text_kind(text: &str) -> u16 {
    let bytes = text.as_bytes();
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return NO_NUMBER;
    }
    if !bytes.first().is_some_and(u8::is_ascii_digit) || bytes.get(4) != Some(&b'-') {
        return TEXTUAL;
    }
    match dates::parse(bytes) {
        Some(moment) if matches!(moment.day, Day::Known(_)) => match (moment.time_us, moment.offset_s) {
            (_, Some(_)) => STAMP_ZONE,
            (Some(_), None) => STAMP,
            (None, None) => DATE,
        },
        _ => TEXTUAL,
    }
}

/// An object's key, borrowed where the text has no escapes.
pub(crate) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = std::borrow::Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = std::borrow::Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(key.into())
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(key.to_owned().into())
    }
}
