//! `replace`: the whole table or nothing.

use nstore::load::{LedgerState, LoadCounts, LoadError, PreflightReport, ReplaceLoad};
use nstore_shared::{
    chunk::UploadMode::{Append, Replace, ReplaceRange},
    storage::marker::VoidReason,
};

use crate::world::{World, ask, at, fill, loaded, replaced, world};

/// A table with 30 rows of three days, loaded by run `r0`.
async fn filled() -> World {
    let world = world().await;
    let run = ask("r0", Replace).key(&["id"]).manifest();
    world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 10).await;
    assert_eq!(world.replace(&run, &markers).await.unwrap(), replaced(30));
    assert_eq!(world.replace(&run, &markers).await.unwrap(), ReplaceLoad::Already);
    world
}

#[tokio::test]
async fn views_keys_and_grants_outlive_a_replace() {
    let world = filled().await;
    world
        .run_sql("CREATE VIEW per_day AS SELECT day, count(*) AS n FROM orders GROUP BY day; GRANT SELECT ON orders TO PUBLIC")
        .await;
    let oid = world.number("SELECT 'orders'::regclass::oid::bigint").await;
    let run = ask("r1", Replace).key(&["id"]).created_at(1).manifest();
    world.loader.preflight(&run).await.and_then(PreflightReport::into_result).unwrap();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 7).await;
    assert_eq!(world.replace(&run, &markers).await.unwrap(), replaced(21));
    assert_eq!(world.number("SELECT sum(n)::bigint FROM per_day").await, 21);
    assert_eq!(world.number("SELECT 'orders'::regclass::oid::bigint").await, oid);
    assert_eq!(world.number("SELECT count(*) FROM information_schema.role_table_grants WHERE grantee = 'PUBLIC' AND table_name = 'orders'").await, 1);
    let earlier = world.loader.ledger(&"r0".parse().unwrap()).await.unwrap();
    assert!(earlier.iter().all(|row| row.state == LedgerState::Replaced));
}

#[tokio::test]
async fn old_rows_stay_whatever_fails() {
    let world = filled().await;
    let run = ask("r1", Replace).key(&["id"]).created_at(1).manifest();
    world.loader.register(&run).await.unwrap();
    let mut markers = world.commit_all(&run, 7).await;

    let missing = world.replace(&run, &markers[..2]).await;
    assert!(matches!(missing, Err(LoadError::Incomplete { .. })), "{missing:?}");
    let overlap = [markers.clone(), markers[..1].to_vec()].concat();
    assert!(matches!(world.replace(&run, &overlap).await, Err(LoadError::Incomplete { .. })));
    assert_eq!(world.rows().await, 30);

    let path = world.artifact(&markers[1]);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    match world.replace(&run, &markers).await.unwrap() {
        ReplaceLoad::Void { range, generation: 1, .. } => assert_eq!(range, markers[1].chunk.range),
        odd => panic!("{odd:?}"),
    }
    assert_eq!(world.rows().await, 30);

    let range = markers[1].chunk.range;
    markers[1] = world.commit(&run, &range.to_string(), &["x,2025-08-02,x".into()]).await;
    match world.replace(&run, &markers).await.unwrap() {
        ReplaceLoad::Refused { range: at, row, .. } => {
            assert_eq!((at, row.as_deref()), (range, Some("x,2025-08-02,x")));
        }
        odd => panic!("{odd:?}"),
    }
    assert_eq!(world.rows().await, 30);
    assert!(world.loader.ledger(&run.run).await.unwrap().is_empty());
    assert_eq!(world.loader.failures(&run.run).await.unwrap().len(), 1);
}

#[tokio::test]
async fn halves_of_a_split_chunk_count_and_an_empty_source_empties_the_table() {
    let world = filled().await;
    let run = ask("r1", Replace).key(&["id"]).chunk_days(2).created_at(1).manifest();
    world.loader.register(&run).await.unwrap();
    let mut markers = Vec::new();
    for range in ["2025-08-01_2025-08-02", "2025-08-02_2025-08-03", "2025-08-03_2025-08-04"] {
        markers.push(world.commit(&run, range, &[]).await);
    }
    assert_eq!(world.replace(&run, &markers).await.unwrap(), replaced(0));
    assert_eq!(world.rows().await, 0);
}

#[tokio::test]
async fn a_replace_that_lacks_days_needs_leave() {
    let world = filled().await;
    let day = ask("r1", Replace).key(&["id"]).days("2025-08-02", 1).created_at(1).manifest();
    let Err(refused @ LoadError::Shrink { .. }) =
        world.loader.preflight(&day).await.and_then(PreflightReport::into_result)
    else {
        panic!()
    };
    assert!(refused.to_string().contains("2 days that this run lacks: 2025-08-01, 2025-08-03"), "{refused}");
    assert!(refused.hint().unwrap().contains("replace_range"));
    world.loader.register(&day).await.unwrap();
    let markers = world.commit_all(&day, 7).await;
    assert!(matches!(world.replace(&day, &markers).await, Err(LoadError::Shrink { .. })));
    assert_eq!(world.rows().await, 30);

    let allowed =
        ask("r2", Replace).key(&["id"]).days("2025-08-02", 1).allow_shrink().created_at(1).manifest();
    world.loader.preflight(&allowed).await.and_then(PreflightReport::into_result).unwrap();
    world.loader.register(&allowed).await.unwrap();
    let markers = world.commit_all(&allowed, 7).await;
    assert_eq!(world.replace(&allowed, &markers).await.unwrap(), replaced(7));
    // what is gone is held no more
    let day = ask("r3", Replace).key(&["id"]).days("2025-08-02", 1).created_at(2).manifest();
    world.loader.preflight(&day).await.and_then(PreflightReport::into_result).unwrap();
}

#[tokio::test]
async fn an_older_replace_of_fewer_days_is_superseded_by_a_newer_one_and_not_refused() {
    let world = world().await;
    let older = ask("old", Replace).days("2025-08-01", 1).created_at(1).manifest();
    let newer = ask("new", Replace).created_at(2).manifest();
    for run in [&older, &newer] {
        world.loader.preflight(run).await.and_then(PreflightReport::into_result).unwrap();
        world.loader.register(run).await.unwrap();
    }
    let markers = world.commit_all(&newer, 9).await;
    assert_eq!(world.replace(&newer, &markers).await.unwrap(), replaced(27));
    // whoever follows the older one anew begins like this
    world.loader.preflight(&older).await.and_then(PreflightReport::into_result).unwrap();
    let markers = world.commit_all(&older, 10).await;
    assert_eq!(world.replace(&older, &markers).await.unwrap(), ReplaceLoad::Superseded);
    assert_eq!(world.rows().await, 27);
}

#[tokio::test]
async fn an_older_replace_never_overwrites_a_newer_one() {
    let world = world().await;
    let older = ask("old", Replace).created_at(1).manifest();
    let newer = ask("new", Replace).created_at(2).manifest();
    for run in [&older, &newer] {
        world.loader.register(run).await.unwrap();
    }
    let markers = world.commit_all(&newer, 9).await;
    assert_eq!(world.replace(&newer, &markers).await.unwrap(), replaced(27));
    let markers = world.commit_all(&older, 10).await;
    assert_eq!(world.replace(&older, &markers).await.unwrap(), ReplaceLoad::Superseded);
    assert_eq!(world.replace(&older, &markers).await.unwrap(), ReplaceLoad::Already);
    assert_eq!(world.rows().await, 27);
    let ledger = world.loader.ledger(&older.run).await.unwrap();
    assert!(ledger.len() == 3 && ledger.iter().all(|row| row.state == LedgerState::Superseded));
}

#[tokio::test]
async fn a_replace_never_overwrites_newer_extractions_of_other_modes() {
    let world = filled().await;
    let slow = ask("slow", Replace).key(&["id"]).created_at(1).manifest();
    world.loader.register(&slow).await.unwrap();
    let mut markers = world.commit_all(&slow, 5).await;
    // while it was extracting, two days were loaded by later runs
    let range = ask("later", ReplaceRange).key(&["id"]).days("2025-08-01", 1).created_at(2).manifest();
    let append = ask("added", Append).key(&["id"]).days("2025-08-03", 1).created_at(2).manifest();
    for (run, per_day) in [(&range, 7), (&append, 11)] {
        world.loader.register(run).await.unwrap();
        let markers = world.commit_all(run, per_day).await;
        world.load_all(run, &markers).await;
    }
    let stands = 7 + 10 + 11;
    assert_eq!(world.rows().await, stands);
    match world.replace(&slow, &markers).await.unwrap() {
        ReplaceLoad::Void { range, generation: 1, reason: VoidReason::Outdated, detail } => {
            assert_eq!(range, markers[0].chunk.range);
            assert!(detail.contains("run later"), "{detail}");
        }
        odd => panic!("{odd:?}"),
    }
    assert_eq!(world.rows().await, stands);
    assert!(world.loader.ledger(&slow.run).await.unwrap().is_empty());
    // just these two are to be extracted anew, then the whole goes in
    for (place, voids) in [(0, 1), (1, 0), (2, 1)] {
        assert_eq!(world.storage.voids(&markers[place].chunk).await.unwrap().len(), voids, "{place}");
    }
    for place in [0, 2] {
        let range = markers[place].chunk.range;
        markers[place] = world.commit_at(&slow, &range.to_string(), &fill(&range, 6, "x"), at(3)).await;
        assert_eq!(markers[place].generation, 2);
    }
    assert_eq!(world.replace(&slow, &markers).await.unwrap(), replaced(17));
    assert_eq!(world.rows().await, 17);
}

#[tokio::test]
async fn a_cancelled_replace_and_old_rows_that_others_point_at_change_nothing() {
    let world = filled().await;
    world
        .run_sql(
            "CREATE TABLE refunds (id bigint REFERENCES orders);
             INSERT INTO refunds SELECT max(id) FROM orders",
        )
        .await;
    let run = ask("r1", Replace).key(&["id"]).created_at(1).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 7).await;
    let Err(LoadError::Target { problems, .. }) = world.replace(&run, &markers).await else { panic!() };
    assert!(problems[0].contains("cannot be deleted"), "{problems:?}");
    world.storage.cancel(&run.run, "no more").await.unwrap();
    assert_eq!(world.replace(&run, &markers).await.unwrap(), ReplaceLoad::Cancelled);
    assert_eq!(world.rows().await, 30);
}

#[tokio::test]
async fn days_of_a_keyless_append_are_free_after_a_replace_took_them_away() {
    let world = world().await;
    let append = ask("r1", Append).manifest();
    world.loader.register(&append).await.unwrap();
    let markers = world.commit_all(&append, 10).await;
    world.load_all(&append, &markers).await;
    let replace = ask("r2", Replace).days("2025-08-02", 2).allow_shrink().created_at(1).manifest();
    world.loader.register(&replace).await.unwrap();
    let markers = world.commit_all(&replace, 5).await;
    assert_eq!(world.replace(&replace, &markers).await.unwrap(), replaced(10));

    let held = ask("r3", Append).manifest();
    let Err(LoadError::DaysHeld { run, days, .. }) =
        world.loader.preflight(&held).await.and_then(PreflightReport::into_result)
    else {
        panic!()
    };
    assert_eq!((run.as_str(), days.as_str()), ("r2", "2025-08-02 to 2025-08-03"));
    let free = ask("r4", Append).days("2025-08-01", 1).manifest();
    world.loader.register(&free).await.unwrap();
    let range = free.sources[0].chunks[0];
    let marker = world.commit(&free, &range.to_string(), &fill(&range, 3, "y")).await;
    assert_eq!(world.load(&free, &marker).await.unwrap(), loaded(3, 0));
    assert_eq!(world.rows().await, 13);
}

/// Where each row lies, and which transaction put it there.
const PLACES: &str = "SELECT id || ' ' || ctid::text || ' ' || xmin::text FROM orders ORDER BY id, ctid";

/// Chunks with these rows, one for each day of a run from 2025-08-01.
async fn replace_by(
    world: &World,
    run: &nstore_shared::storage::manifest::Manifest,
    days: [&[&str]; 3],
) -> ReplaceLoad {
    world.loader.preflight(run).await.and_then(PreflightReport::into_result).unwrap();
    world.loader.register(run).await.unwrap();
    let mut markers = Vec::new();
    for (range, rows) in run.sources[0].chunks.iter().zip(days) {
        let rows: Vec<String> = rows.iter().map(|row| (*row).to_owned()).collect();
        markers.push(world.commit(run, &range.to_string(), &rows).await);
    }
    world.replace(run, &markers).await.unwrap()
}

/// Rows that went in, and rows that stayed.
fn kept(rows: u64, skipped: u64) -> ReplaceLoad {
    ReplaceLoad::Loaded(LoadCounts { rows, skipped, ..LoadCounts::default() })
}

#[tokio::test]
async fn rows_that_are_equal_are_not_deleted() {
    let world = filled().await;
    let before = world.text(PLACES).await;
    let run = ask("r1", Replace).key(&["id"]).created_at(1).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 10).await;
    assert_eq!(world.replace(&run, &markers).await.unwrap(), kept(0, 30));
    assert_eq!(world.text(PLACES).await, before);
    // the ledger says whose rows they are from here on
    let earlier = world.loader.ledger(&"r0".parse().unwrap()).await.unwrap();
    assert!(earlier.iter().all(|row| row.state == LedgerState::Replaced));
    let ledger = world.loader.ledger(&run.run).await.unwrap();
    assert!(ledger.iter().all(|row| row.state == LedgerState::Loaded && row.skipped == 10 && row.rows == 0));
}

#[tokio::test]
async fn what_others_point_at_stays_when_it_is_equal() {
    let world = world().await;
    let old = ask("r0", Replace).key(&["id"]).manifest();
    let days: [&[&str]; 3] = [&["1,2025-08-01,a", "2,2025-08-01,"], &["3,2025-08-02,c"], &["4,2025-08-03,d"]];
    assert_eq!(replace_by(&world, &old, days).await, replaced(4));
    world
        .run_sql("CREATE TABLE notes (item bigint REFERENCES orders); INSERT INTO notes VALUES (1), (2)")
        .await;
    let before = world.text(PLACES).await;
    // a row less, a row more, a row that changed
    let days: [&[&str]; 3] =
        [&["2,2025-08-01,", "1,2025-08-01,a"], &[], &["4,2025-08-03,D", "5,2025-08-03,e"]];
    let run = ask("r1", Replace).key(&["id"]).created_at(1).manifest();
    assert_eq!(replace_by(&world, &run, days).await, kept(2, 2));
    assert_eq!(world.text(PLACES).await[..2], before[..2]);
    let rows = world.text("SELECT id || coalesce(note, '-') FROM orders ORDER BY id").await;
    assert_eq!(rows.iter().flatten().collect::<Vec<_>>(), ["1a", "2-", "4D", "5e"]);
}

#[tokio::test]
async fn rows_without_a_key_are_kept_one_for_one() {
    let world = world().await;
    let old = ask("r0", Replace).manifest();
    let days: [&[&str]; 3] =
        [&["1,2025-08-01,a", "1,2025-08-01,a", "1,2025-08-01,a"], &["2,2025-08-02,b"], &[]];
    assert_eq!(replace_by(&world, &old, days).await, replaced(4));
    let run = ask("r1", Replace).created_at(1).manifest();
    let days: [&[&str]; 3] =
        [&["1,2025-08-01,a"], &["2,2025-08-02,b", "2,2025-08-02,b"], &["1,2025-08-01,a"]];
    assert_eq!(replace_by(&world, &run, days).await, kept(1, 3));
    let rows = world.text("SELECT id::text FROM orders ORDER BY id").await;
    assert_eq!(rows.iter().flatten().collect::<Vec<_>>(), ["1", "1", "2", "2"]);
}

#[tokio::test]
async fn a_row_that_goes_takes_none_along_that_stays() {
    let world = world().await;
    world
        .run_sql(
            "CREATE TABLE orders (id bigint PRIMARY KEY, day date NOT NULL, note text,
                 parent bigint REFERENCES orders ON DELETE CASCADE);
             INSERT INTO orders VALUES (1, '2025-08-01', 'old', NULL), (2, '2025-08-02', 'x', 1)",
        )
        .await;
    let run = ask("r1", Replace).key(&["id"]).created_at(1).manifest();
    let days: [&[&str]; 3] = [&["1,2025-08-01,new"], &["2,2025-08-02,x"], &[]];
    assert_eq!(replace_by(&world, &run, days).await, replaced(2));
    assert_eq!(world.rows().await, 2);
}
