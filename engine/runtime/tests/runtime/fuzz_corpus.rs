//! The corpus of the fuzz targets: bytes that once broke a promise, and some of every kind, tried each time.

use std::{fs, path::Path};

use crate::fuzz_targets;

#[test]
fn nothing_in_the_corpus_breaks_a_promise() {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus"));
    for (name, target) in fuzz_targets::ALL {
        let mut files: Vec<_> = fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "the target {name} has no corpus");
        for file in files {
            // The test that fails shows this.
            eprintln!("{}", file.display());
            target(&fs::read(file).unwrap());
        }
    }
}

/// Seeds that reach the depth of their target, so that the fuzzer begins there.
#[test]
fn the_corpus_reaches_what_it_is_for() {
    assert!(fuzz_targets::is_compiled(include_str!("../../../../fuzz/corpus/runbook/steps.yaml")));
    assert!(fuzz_targets::is_answer(include_str!("../../../../fuzz/corpus/answer/everything")));
    assert!(fuzz_targets::legal_events(include_bytes!("../../../../fuzz/corpus/events/everything")) > 20);
}
