//! How requests are built, and a walk over one that believes nothing it says.
//!
//! The codec makes room for as many elements as an array says that it has, so one of a few bytes could ask for all of the
//! memory there is. Each request is walked first: every length must fit what is left, and all arrays together have a bound.

use std::ops::RangeInclusive;

use thiserror::Error;

/// Elements of all arrays of one request together.
pub(crate) const ELEMENTS_MAX: usize = 100_000;

/// Bytes of one text, as in Kafka.
const TEXT_BYTES_MAX: usize = i16::MAX as usize;

/// Fields with tags that one structure may have.
const TAGS_MAX: u32 = 64;

/// Why bytes are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Broken {
    #[error("it ends too early")]
    Short,
    #[error("a length is wrong")]
    Length,
    #[error("it has too many elements")]
    TooMany,
    #[error("a field is wrong")]
    Field,
}

/// One field.
#[derive(Debug)]
enum Kind {
    /// So many bytes.
    Fixed(usize),
    Text,
    Bytes,
    /// An array of such a field.
    List(Box<Kind>),
    /// An array of structures.
    Structures(Shape),
}

/// The fields of a structure, each with the versions that have it.
#[derive(Debug, Default)]
pub(crate) struct Shape(Vec<(RangeInclusive<i16>, Kind)>);

impl Shape {
    /// Reads a shape from its short form: fields with blanks between them, each `1`, `2`, `4`, `8` or `16` (bytes), `s` (a text), `b`
    /// (bytes), `[…]` (an array of such a field) or `{…}` (an array of structures); with `3:` before it only from version 3
    /// on, with `2-4:` only in these. `None` for a text that is no shape.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let spaced = text.replace('{', " { ").replace('}', " } ").replace('[', " [ ").replace(']', " ] ");
        let mut words = spaced.split_whitespace().peekable();
        let shape = Self::fields(&mut words, None)?;
        words.next().is_none().then_some(shape)
    }

    fn fields<'a>(words: &mut impl Iterator<Item = &'a str>, end: Option<&str>) -> Option<Self> {
        let mut shape = Self::default();
        loop {
            let Some(word) = words.next() else { return end.is_none().then_some(shape) };
            if Some(word) == end {
                return Some(shape);
            }
            let (versions, rest) = match word.split_once(':') {
                Some((versions, rest)) => (range(versions)?, rest),
                None => (0..=i16::MAX, word),
            };
            let first = if rest.is_empty() { words.next()? } else { rest };
            shape.0.push((versions, Self::field(first, words)?));
        }
    }

    fn field<'a>(word: &str, words: &mut impl Iterator<Item = &'a str>) -> Option<Kind> {
        Some(match word {
            "s" => Kind::Text,
            "b" => Kind::Bytes,
            "[" => {
                let first = words.next()?;
                let element = Self::field(first, words)?;
                if words.next() != Some("]") {
                    return None;
                }
                Kind::List(Box::new(element))
            }
            "{" => Kind::Structures(Self::fields(words, Some("}"))?),
            size => Kind::Fixed(size.parse().ok().filter(|size| [1, 2, 4, 8, 16].contains(size))?),
        })
    }
}

/// `3`: from there on; `2-4`: these; `-4`: up to there.
fn range(text: &str) -> Option<RangeInclusive<i16>> {
    match text.split_once('-') {
        None => Some(text.parse().ok()?..=i16::MAX),
        Some(("", last)) => Some(0..=last.parse().ok()?),
        Some((first, last)) => Some(first.parse().ok()?..=last.parse().ok()?),
    }
}

/// Whether a body begins with a whole request of this shape, and is small enough to be read. What comes behind is passed over, as by
/// Kafka: librdkafka asks for all topics with an empty array of four bytes where one is meant.
pub(crate) fn check(shape: &Shape, body: &[u8], version: i16, flexible: bool) -> Result<(), Broken> {
    let mut walk = Walk { left: body, version, flexible, elements: ELEMENTS_MAX };
    walk.structure(shape)
}

/// Where the header of a request ends, as far as fields with tags go: how many bytes they take.
pub(crate) fn tags_length(bytes: &[u8]) -> Result<usize, Broken> {
    let mut walk = Walk { left: bytes, version: 0, flexible: true, elements: ELEMENTS_MAX };
    walk.tags()?;
    Ok(bytes.len() - walk.left.len())
}

struct Walk<'a> {
    left: &'a [u8],
    version: i16,
    /// Whether lengths are of variable size and structures have tags.
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn skip(&mut self, count: usize) -> Result<(), Broken> {
        self.left = self.left.get(count..).ok_or(Broken::Short)?;
        Ok(())
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let (first, rest) = self.left.split_first_chunk::<N>().ok_or(Broken::Short)?;
        self.left = rest;
        Ok(*first)
    }

    fn varint(&mut self) -> Result<u32, Broken> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            let part = u32::from(byte & 0x7f);
            if shift == 28 && part > 0x0f {
                return Err(Broken::Length);
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Broken::Length)
    }

    /// A length; `None` stands for nothing at all.
    fn length(&mut self, short: bool) -> Result<Option<usize>, Broken> {
        let length = if self.flexible {
            i64::from(self.varint()?) - 1
        } else if short {
            i64::from(i16::from_be_bytes(self.fixed()?))
        } else {
            i64::from(i32::from_be_bytes(self.fixed()?))
        };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| Broken::Length),
        }
    }

    fn structure(&mut self, shape: &Shape) -> Result<(), Broken> {
        let version = self.version;
        for (_, kind) in shape.0.iter().filter(|(versions, _)| versions.contains(&version)) {
            self.field(kind)?;
        }
        if self.flexible { self.tags() } else { Ok(()) }
    }

    fn field(&mut self, kind: &Kind) -> Result<(), Broken> {
        match kind {
            Kind::Fixed(size) => self.skip(*size),
            Kind::Text => match self.length(true)?.unwrap_or_default() {
                length if length > TEXT_BYTES_MAX => Err(Broken::Length),
                length => self.skip(length),
            },
            Kind::Bytes => {
                let length = self.length(false)?.unwrap_or_default();
                self.skip(length)
            }
            Kind::List(element) => self.each(|walk| walk.field(element)),
            Kind::Structures(shape) => self.each(|walk| walk.structure(shape)),
        }
    }

    fn each(&mut self, element: impl Fn(&mut Self) -> Result<(), Broken>) -> Result<(), Broken> {
        let count = self.length(false)?.unwrap_or_default();
        // Each takes a byte at least.
        if count > self.left.len() {
            return Err(Broken::Length);
        }
        self.elements = self.elements.checked_sub(count).ok_or(Broken::TooMany)?;
        (0..count).try_for_each(|_| element(self))
    }

    /// Fields that only newer clients know.
    fn tags(&mut self) -> Result<(), Broken> {
        let count = self.varint()?;
        if count > TAGS_MAX {
            return Err(Broken::TooMany);
        }
        for _ in 0..count {
            let _tag = self.varint()?;
            let length = usize::try_from(self.varint()?).map_err(|_| Broken::Length)?;
            self.skip(length)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
