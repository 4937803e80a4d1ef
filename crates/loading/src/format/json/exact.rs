//! A document's values, each float the double that is nearest to its digits.
//!
//! serde_json reads one float in six as a neighbour of that one, unless it is built to be exact, for everybody who stands on it.

use jiter::{Jiter, JiterError, Peek};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Error;

/// Reads one text, which was seen to be JSON that is nested no deeper than it may be.
pub(super) fn put<'de, S: DeserializeSeed<'de, Value = ()>>(text: &'de [u8], seed: S) -> Result<(), Error> {
    let mut values = Values { text: Jiter::new(text), next: None };
    seed.deserialize(&mut values)?;
    values.text.finish().map_err(wrong)
}

fn wrong(error: JiterError) -> Error {
    Error::custom(error.error_type)
}

struct Values<'de> {
    text: Jiter<'de>,
    /// How the value begins whose turn it is, where that is known.
    next: Option<Peek>,
}

impl<'de> Deserializer<'de> for &mut Values<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let peek = match self.next.take() {
            Some(peek) => peek,
            None => self.text.peek().map_err(wrong)?,
        };
        match peek {
            Peek::Null => {
                self.text.known_null().map_err(wrong)?;
                visitor.visit_unit()
            }
            Peek::True | Peek::False => visitor.visit_bool(self.text.known_bool(peek).map_err(wrong)?),
            Peek::String => visitor.visit_str(self.text.known_str().map_err(wrong)?),
            Peek::Array => {
                let first = self.text.known_array().map_err(wrong)?;
                visitor.visit_seq(Items { values: self, first: Some(first) })
            }
            Peek::Object => visitor.visit_map(Entries { values: self, begun: false }),
            _ => number(self.text.known_number_bytes(peek).map_err(wrong)?, visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let peek = match self.next.take() {
            Some(peek) => peek,
            None => self.text.peek().map_err(wrong)?,
        };
        self.text.known_skip(peek).map_err(wrong)?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier
    }
}

/// A whole number where it is written as one and fits, otherwise a float.
fn number<'de, V: Visitor<'de>>(digits: &[u8], visitor: V) -> Result<V::Value, Error> {
    let text = std::str::from_utf8(digits).map_err(Error::custom)?;
    if !digits.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) && text != "-0" {
        if let Ok(whole) = text.parse::<u64>() {
            return visitor.visit_u64(whole);
        }
        if let Ok(whole) = text.parse::<i64>() {
            return visitor.visit_i64(whole);
        }
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => visitor.visit_f64(float),
        _ => Err(Error::custom("number out of range")),
    }
}

struct Items<'a, 'de> {
    values: &'a mut Values<'de>,
    /// How the first one begins, if there is one, until that was asked for.
    first: Option<Option<Peek>>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let peek = match self.first.take() {
            Some(first) => first,
            None => self.values.text.array_step().map_err(wrong)?,
        };
        self.values.next = peek;
        if peek.is_none() { Ok(None) } else { seed.deserialize(&mut *self.values).map(Some) }
    }
}

struct Entries<'a, 'de> {
    values: &'a mut Values<'de>,
    begun: bool,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let text = &mut self.values.text;
        let key = if std::mem::replace(&mut self.begun, true) { text.next_key() } else { text.known_object() };
        match key.map_err(wrong)? {
            Some(key) => seed.deserialize(StrDeserializer::new(key)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&mut *self.values)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::Value;

    use super::*;

    struct Kept<'a>(&'a RefCell<Value>);

    impl<'de> DeserializeSeed<'de> for Kept<'_> {
        type Value = ();

        fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
            *self.0.borrow_mut() = serde::Deserialize::deserialize(from)?;
            Ok(())
        }
    }

    fn read(text: &str) -> Result<Value, Error> {
        let kept = RefCell::new(Value::Null);
        put(text.as_bytes(), Kept(&kept))?;
        Ok(kept.into_inner())
    }

    #[test]
    fn floats_are_the_nearest() {
        for text in [
            "9163.453718085519",
            "2.493307144426866e-08",
            "4e81",
            "5e-324",
            "1.7976931348623157e308",
            "0.1",
            "-0.0",
            "-0",
        ] {
            let float = read(text).unwrap().as_f64().unwrap();
            assert_eq!(float.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        assert!(read("1e400").unwrap_err().to_string().contains("out of range"));
    }

    #[test]
    fn everything_else_is_as_serde_json_reads_it() {
        for text in [
            r#"{"a": [1, -2, null, true, false, "x\nü😀", {}, []], "b": {"c": {"d": [[[]]]}}, "": 18446744073709551615}"#,
            " [ 9223372036854775807 , -9223372036854775808 ] ",
            r#""only""#,
            "[]",
            "{}",
            "12",
        ] {
            assert_eq!(read(text).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        for text in ["[1", "[1,]", "{\"a\":}", "{\"a\" 1}", "1 2", "", "nul", "NaN"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
