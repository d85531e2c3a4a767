//! The fuzzing engine's program: libFuzzer's own `main` feeds the target that `FOOTFALL_FUZZ_TARGET` names.
//! `fuzz/run` builds and starts it.
#![no_main]

use std::{env, sync::LazyLock};

/// Looked up once, not for each input.
static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = env::var("FOOTFALL_FUZZ_TARGET").unwrap_or_default();
    let found = fuzz::TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("FOOTFALL_FUZZ_TARGET: no target is called {name:?}: use fuzz/run")).run
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET(input));
