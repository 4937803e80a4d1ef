//! The numbers of records: seven bits a byte, the sign in the lowest bit.

/// A length takes no more.
pub(crate) const BYTES_MAX: usize = 5;

/// Reads from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Varints<'a>(pub(crate) &'a [u8]);

impl<'a> Varints<'a> {
    fn unsigned(&mut self, bits: u32) -> Option<u64> {
        let mut value = 0_u64;
        let mut shift = 0;
        while shift < bits {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
        None
    }

    pub(crate) fn int(&mut self) -> Option<i32> {
        let value = u32::try_from(self.unsigned(35)?).ok()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(crate) fn long(&mut self) -> Option<i64> {
        let value = self.unsigned(70)?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// Bytes behind their length; the inner `None` for the length -1.
    pub(crate) fn bytes(&mut self) -> Option<Option<&'a [u8]>> {
        let length = self.int()?;
        if length == -1 {
            return Some(None);
        }
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(Some(bytes))
    }
}

/// Writes a number, the counterpart of [`Varints::long`] (and of [`Varints::int`], for what fits).
pub(crate) fn put(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        to.push(low(rest) | 0x80);
        rest >>= 7;
    }
    to.push(low(rest));
}

fn low(bits: u64) -> u8 {
    let [low, ..] = bits.to_le_bytes();
    low & 0x7f
}

/// Bytes that [`put`] writes.
pub(crate) fn bytes_of(value: i64) -> usize {
    let bits = 64 - ((value << 1) ^ (value >> 63)).cast_unsigned().leading_zeros();
    (bits.max(1) as usize).div_ceil(7)
}

/// Writes bytes behind their length; -1 stands for none.
pub(crate) fn put_bytes(to: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put(to, bytes.map_or(-1, length));
    to.extend_from_slice(bytes.unwrap_or_default());
}

/// What [`put_bytes`] writes.
pub(crate) fn bytes_of_bytes(bytes: Option<&[u8]>) -> usize {
    bytes_of(bytes.map_or(-1, length)) + bytes.map_or(0, <[u8]>::len)
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Varints, bytes_of, put};

    #[test]
    fn numbers_come_back_and_take_the_bytes_that_are_told() {
        let edges = (0..63).flat_map(|bits| [1_i64 << bits, (1 << bits) - 1, -(1 << bits), -(1 << bits) - 1]);
        for value in edges.chain([i64::MIN, i64::MAX, 0]) {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            assert_eq!(bytes.len(), bytes_of(value), "{value}");
            let mut rest = Varints(&bytes);
            assert_eq!(rest.long(), Some(value));
            assert!(rest.0.is_empty());
        }
    }
}
