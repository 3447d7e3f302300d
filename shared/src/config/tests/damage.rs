//! No bytes stop the reader: not any, and not those of a damaged good file.

use proptest::prelude::*;

use super::*;
use crate::config::{
    check::{
        mapping, pipeline, source,
        whole::{self, Mapping},
    },
    document::Document,
};

/// Reads texts as one of each file, without a file system in between.
fn read_all(text: &str) {
    let env = |name: &str| name.len().is_multiple_of(2).then(|| name.to_owned());
    let mut doc = Document::new(Path::new("pipeline.yaml"), text, &env);
    let mut pipeline = pipeline::pipeline(&mut doc, &env);
    let source = Document::new(Path::new("sources/pay.yaml"), text, &env);
    let defaults = source::Defaults { zone: Tz::UTC, require_evidence: false };
    let mut drafts = vec![
        source::draft("pay".parse().unwrap(), source, &defaults),
        source::draft(
            "two".parse().unwrap(),
            Document::new(Path::new("sources/two.yaml"), SOURCE, &env),
            &defaults,
        ),
    ];
    let mut mapping = Document::new(Path::new("mappings/pay.yaml"), text, &env);
    let contract = mapping.read().map(|raw| mapping::contract(&mut mapping, &raw));
    let mut mappings = BTreeMap::from([("pay".to_owned(), Mapping { doc: mapping, contract })]);
    whole::join(&mut pipeline, &mut doc, &mut drafts, &mut mappings);
    let faults = doc.into_faults(None);
    assert!(faults.iter().all(|fault| fault.at.is_some_and(|(line, column)| line > 0 && column > 0)));
}

/// One of the good files with a piece taken out, doubled or overwritten.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..6),
        proptest::sample::select(vec![
            "${", "}", "[", "{", "- ", ": ", "\n", "'", "%", "&a ", "*a", "!x ", "🙂", "0", "-1", "null",
            "9e999"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let file = proptest::sample::select(vec![PIPELINE, SOURCE, MAPPING]);
    (file, proptest::collection::vec((any::<prop::sample::Index>(), 0..20usize, piece), 1..5)).prop_map(
        |(file, edits)| {
            let mut bytes = file.as_bytes().to_vec();
            for (index, length, piece) in edits {
                let start = index.index(bytes.len() + 1);
                let end = (start + length).min(bytes.len());
                bytes.splice(start..end, piece);
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_stop_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_all(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_damage_to_a_good_file_stops_the_reader(bytes in mutated()) {
        read_all(&String::from_utf8_lossy(&bytes));
    }
}
