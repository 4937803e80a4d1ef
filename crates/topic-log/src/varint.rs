//! The numbers of records: seven bits a byte, the sign in the lowest bit.

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

#[cfg(test)]
/// Writes a number, the counterpart of [`Varints::long`] (and of [`Varints::int`], for what fits).
pub(crate) fn put(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        to.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}
