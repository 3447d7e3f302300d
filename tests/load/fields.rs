//! Schema drift: a field that earlier chunks had and no record of a chunk has.

use nstore::load::ChunkLoad;
use nstore_shared::{
    chunk::UploadMode::{Append, Replace},
    contract::{ColumnType, OnAbsent},
    storage::marker::{ChunkWarning, Evidence},
};

use crate::world::{ask, column, loaded, world};

fn absent(column: &str) -> ChunkWarning {
    ChunkWarning::FieldAbsent {
        column: column.into(),
        path: "notes.text".into(),
        hint: Some("did you mean `notes.body`?".into()),
    }
}

fn row(id: u32, day: u32) -> Vec<String> {
    vec![format!("{id},2025-08-0{day},")]
}

#[tokio::test]
async fn a_field_that_earlier_chunks_had_and_this_one_lacks_fails_the_chunk() {
    let mut world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    // lacking from the first chunk on: nothing shows that it was ever there
    world.warnings = vec![absent("note")];
    let first = world.commit(&run, "2025-08-01_2025-08-02", &row(1, 1)).await;
    assert_eq!(world.load(&run, &first).await.unwrap(), loaded(1, 0));
    world.warnings.clear();
    let second = world.commit(&run, "2025-08-02_2025-08-03", &["2,2025-08-02,x".into()]).await;
    assert_eq!(world.load(&run, &second).await.unwrap(), loaded(1, 0));
    world.warnings = vec![absent("note")];
    let third = world.commit(&run, "2025-08-03_2025-08-04", &row(3, 3)).await;
    let done = world.load(&run, &third).await.unwrap();
    let ChunkLoad::Refused { error, .. } = done else { panic!("{done:?}") };
    for word in ["column `note`", "`notes.text`", "`notes.body`", "2025-08-02_2025-08-03", "on_absent: warn"]
    {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(world.rows().await, 2);

    // a later run over the same table, and a whole-table load
    let next = ask("r2", Append).key(&["id"]).manifest();
    world.loader.register(&next).await.unwrap();
    let marker = world.commit(&next, "2025-08-03_2025-08-04", &row(3, 3)).await;
    assert!(matches!(world.load(&next, &marker).await.unwrap(), ChunkLoad::Refused { .. }));
    let whole = ask("r3", Replace).key(&["id"]).created_at(1).manifest();
    world.loader.register(&whole).await.unwrap();
    let markers = world.commit_all(&whole, 1).await;
    let done = world.replace(&whole, &markers).await.unwrap();
    assert!(matches!(done, nstore::load::ReplaceLoad::Refused { .. }), "{done:?}");
    assert_eq!(world.rows().await, 2);
}

#[tokio::test]
async fn an_empty_chunk_and_a_column_that_only_warns_are_loaded() {
    let mut world = world().await;
    let mut note = column("note", ColumnType::Text, false);
    note.on_absent = OnAbsent::Warn;
    let columns =
        vec![column("id", ColumnType::Bigint, true), column("day", ColumnType::Date, true), note.clone()];
    let run = ask("r1", Append).key(&["id"]).columns(columns).manifest();
    world.loader.register(&run).await.unwrap();
    let first = world.commit(&run, "2025-08-01_2025-08-02", &["1,2025-08-01,x".into()]).await;
    world.load_all(&run, &[first]).await;
    world.warnings = vec![absent("note")];
    let second = world.commit(&run, "2025-08-02_2025-08-03", &row(2, 2)).await;
    assert_eq!(world.load(&run, &second).await.unwrap(), loaded(1, 0));

    let strict = ask("r2", Append).key(&["id"]).manifest();
    world.loader.register(&strict).await.unwrap();
    let empty = world.commit(&strict, "2025-08-03_2025-08-04", &[]).await;
    assert_eq!(world.load(&strict, &empty).await.unwrap(), loaded(0, 0));
    let fields = world.text("SELECT column_name FROM nstore.fields ORDER BY 1").await;
    assert_eq!(fields, ["day", "id", "note"].map(|name| Some(name.to_owned())));
    // what is forgotten of the table is forgotten of its fields
    world.loader.forget("orders").await.unwrap();
    assert_eq!(world.number("SELECT count(*) FROM nstore.fields").await, 0);
}

#[tokio::test]
async fn the_ledger_says_what_proves_a_chunk_and_is_empty_where_nothing_does() {
    let mut world = world().await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    world.evidence = vec![Evidence::ShortLastPage { records: 1 }, Evidence::TotalAgreed { total: 1 }];
    let first = world.commit(&run, "2025-08-01_2025-08-02", &row(1, 1)).await;
    world.evidence = vec![Evidence::SinglePage];
    let second = world.commit(&run, "2025-08-02_2025-08-03", &row(2, 2)).await;
    world.load_all(&run, &[first, second]).await;
    let ledger = world.loader.ledger(&run.run).await.unwrap();
    let evidence: Vec<Option<&str>> = ledger.iter().map(|row| row.evidence.as_deref()).collect();
    assert_eq!(evidence, [Some("total"), None]);
}
