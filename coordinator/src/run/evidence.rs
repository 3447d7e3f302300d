//! What shows that a source's stored chunks are complete, and what is to be known of them. Pure.

use std::collections::BTreeMap;

use nstore_shared::storage::marker::{ChunkWarning, Committed};
use serde::Serialize;

/// How many stored chunks are proven to be complete, and by what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EvidenceCounts {
    /// Chunks with a proof.
    pub proven: u64,
    /// Chunks without one.
    pub unproven: u64,
    /// Proven chunks by the name of their proof.
    pub evidence: BTreeMap<&'static str, u64>,
    /// Unproven chunks by the names of what was seen instead. A chunk may count several times.
    pub weak_evidence: BTreeMap<&'static str, u64>,
}

/// A warning of a source's chunks, said once for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceWarning {
    /// The warning, with the figures of all its chunks.
    #[serde(flatten)]
    pub warning: ChunkWarning,
    /// The warning as people read it.
    pub text: String,
    /// How many chunks have it.
    pub chunks: u64,
}

impl EvidenceCounts {
    /// Counts the evidence of stored chunks, each looked at once.
    pub(super) fn count<'a>(stored: impl Iterator<Item = &'a Committed>) -> Self {
        let mut counts = Self::default();
        for committed in stored {
            if let Some(proof) = committed.proof() {
                counts.proven += 1;
                *counts.evidence.entry(proof.name()).or_default() += 1;
            } else {
                counts.unproven += 1;
                for weak in &committed.evidence {
                    *counts.weak_evidence.entry(weak.name()).or_default() += 1;
                }
            }
        }
        counts
    }
}

/// The warnings of stored chunks: those of one kind are joined.
pub(super) fn warnings<'a>(stored: impl Iterator<Item = &'a Committed>) -> Vec<SourceWarning> {
    let mut joined: Vec<SourceWarning> = Vec::new();
    for committed in stored {
        // warnings of one chunk that are of one kind count this chunk once
        let mut met = Vec::new();
        for warning in &committed.warnings {
            let known = joined.iter_mut().position(|known| known.warning.absorb(warning));
            let at = known.unwrap_or_else(|| {
                let text = String::new();
                joined.push(SourceWarning { warning: warning.clone(), text, chunks: 0 });
                joined.len() - 1
            });
            if !met.contains(&at) {
                joined[at].chunks += 1;
                met.push(at);
            }
        }
    }
    for known in &mut joined {
        known.text = known.warning.to_string();
    }
    joined
}

#[cfg(test)]
mod tests {
    use nstore_shared::storage::marker::{ArtifactRef, Evidence, Quality};
    use proptest::prelude::*;

    use super::*;

    fn stored(evidence: Vec<Evidence>, warnings: Vec<ChunkWarning>) -> Committed {
        Committed {
            artifact: ArtifactRef { name: "n".into(), sha256: String::new(), bytes: 1 },
            rows: 1,
            columns: vec![],
            contract: "c".into(),
            quality: Quality::default(),
            evidence,
            warnings,
            pages: 1,
            lane: None,
            browser: None,
        }
    }

    #[test]
    fn each_chunk_counts_once_by_its_proof_and_the_others_are_unproven() {
        let total = || Evidence::TotalAgreed { total: 7 };
        let chunks = [
            stored(vec![Evidence::ShortLastPage { records: 3 }, total()], vec![]),
            stored(vec![total(), Evidence::EmptyLastPage], vec![]),
            stored(vec![Evidence::EmptyLastPage], vec![]),
            stored(vec![Evidence::SinglePage], vec![]),
            stored(vec![], vec![]),
        ];
        let counts = EvidenceCounts::count(chunks.iter());
        assert_eq!((counts.proven, counts.unproven), (3, 2));
        assert_eq!(counts.evidence, BTreeMap::from([("total", 2), ("empty page", 1)]));
        assert_eq!(counts.weak_evidence, BTreeMap::from([("single page", 1)]));
    }

    #[test]
    fn the_same_warning_of_many_chunks_is_one_with_a_count() {
        let absent = |column: &str| ChunkWarning::FieldAbsent {
            column: column.into(),
            path: column.into(),
            hint: None,
        };
        let outside = |records| ChunkWarning::OutsideWindow { records, examples: vec!["2025-08-01".into()] };
        let chunks = [
            stored(vec![], vec![absent("a"), outside(2), outside(1)]),
            stored(vec![], vec![absent("b"), absent("a")]),
            stored(vec![], vec![outside(3)]),
        ];
        let joined = warnings(chunks.iter());
        let counted: Vec<_> = joined.iter().map(|warning| (warning.chunks, warning.text.as_str())).collect();
        assert_eq!(counted.len(), 3, "{counted:?}");
        assert_eq!(counted[0], (2, "column `a`: no record has the field `a`"));
        assert!(counted[1].0 == 2 && counted[1].1.starts_with("6 records lie outside"), "{counted:?}");
        assert_eq!(counted[2].0, 1);
        let json = serde_json::json!(joined[0]);
        assert_eq!((&json["type"], &json["chunks"]), (&"field_absent".into(), &2.into()), "{json}");
    }

    proptest! {
        #[test]
        fn every_stored_chunk_is_proven_or_unproven(kinds in prop::collection::vec(0_u8..4, 0..50)) {
            let evidence = |kind: u8| match kind {
                0 => vec![Evidence::TotalAgreed { total: 1 }],
                1 => vec![Evidence::EndOfList, Evidence::SinglePage],
                2 => vec![Evidence::ShortLastPage { records: 1 }],
                _ => vec![],
            };
            let chunks: Vec<_> = kinds.iter().map(|kind| stored(evidence(*kind), vec![])).collect();
            let counts = EvidenceCounts::count(chunks.iter());
            prop_assert_eq!(counts.proven, kinds.iter().filter(|kind| **kind < 2).count() as u64);
            prop_assert_eq!(counts.proven + counts.unproven, kinds.len() as u64);
            prop_assert_eq!(counts.evidence.values().sum::<u64>(), counts.proven);
        }
    }
}
