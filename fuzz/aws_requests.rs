//! Bytes for AWS' APIs: bodies in JSON and CBOR, signed requests, names and tokens. They are read or refused; nothing panics, and what
//! was read is written as what it was.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| polder_aws_server::fuzzing::read(data));
