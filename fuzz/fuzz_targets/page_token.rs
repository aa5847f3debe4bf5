//! Fuzzes `targets::page_token`.
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::page_token(data));
