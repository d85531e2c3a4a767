//! The kept corpus as a plain test: what was once found stays fixed, with or without an engine.

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn every_kept_input_passes_its_target() {
    for target in fuzz::TARGETS {
        let folder = corpus().join(target.name);
        let mut inputs = 0;
        for file in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = file.unwrap().path();
            let input = fs::read(&path).unwrap();
            assert!(catch_unwind(|| (target.run)(&input)).is_ok(), "{}: see above", path.display());
            inputs += 1;
        }
        assert!(inputs > 0, "{} has no corpus", target.name);
    }
}

#[test]
fn every_corpus_has_a_target() {
    for folder in fs::read_dir(corpus()).unwrap() {
        let name = folder.unwrap().file_name();
        assert!(fuzz::TARGETS.iter().any(|target| name == target.name), "{name:?} belongs to no target");
    }
}
