//! Bytes for Kafka's protocol: frames, as anybody may send them. They are read or refused; nothing panics, and pieces change
//! nothing.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| polder_kafka_server::fuzzing::read(data));
