//! Many chunks by one transaction: where one is in the way, the others are loaded all the same.

use nstore::load::{ChunkLoad, ChunkLoads};
use nstore_shared::{
    chunk::UploadMode::{Append, ReplaceRange},
    storage::{manifest::Manifest, marker::Marker},
};

use crate::world::{World, ask, world};

async fn together(world: &World, run: &Manifest, markers: &[Marker]) -> Vec<ChunkLoad> {
    let ChunkLoads { done, error } = world.loader.load_chunks(run, &run.sources[0], markers).await;
    assert!(error.is_none(), "{error:?}");
    assert!(done.iter().map(|(place, _)| *place).eq(0..markers.len()), "{done:?}");
    done.into_iter().map(|(_, load)| load).collect()
}

#[tokio::test]
async fn chunks_of_a_source_are_one_transaction() {
    for (mode, key) in [(Append, &[][..]), (Append, &["id"][..]), (ReplaceRange, &[][..])] {
        let world = world().await;
        let run = ask("r1", mode).key(key).days("2025-08-01", 40).manifest();
        world.loader.register(&run).await.unwrap();
        let mut markers = world.commit_all(&run, 3).await;
        // some without rows
        for marker in &mut markers[5..9] {
            world
                .storage
                .void(&marker.chunk, 1, nstore_shared::storage::marker::VoidReason::Retried, "x")
                .await
                .unwrap();
            *marker = world.commit(&run, &marker.chunk.range.to_string(), &[]).await;
        }
        let loads = together(&world, &run, &markers).await;
        assert!(loads.iter().all(|load| matches!(load, ChunkLoad::Loaded(_))), "{loads:?}");
        assert_eq!(world.rows().await, 36 * 3);
        assert_eq!(world.number("SELECT count(DISTINCT xmin::text) FROM orders").await, 1, "one transaction");
        assert_eq!(world.number("SELECT sum(rows)::bigint FROM nstore.ledger").await, 36 * 3);
        let again = together(&world, &run, &markers).await;
        assert!(again.iter().all(|load| *load == ChunkLoad::Already), "{again:?}");
        assert_eq!(world.rows().await, 36 * 3);
    }
}

#[tokio::test]
async fn a_chunk_that_the_table_refuses_or_that_is_damaged_leaves_the_others() {
    let world = world().await;
    world
        .run_sql(
            "CREATE TABLE orders (id bigint PRIMARY KEY, day date NOT NULL, note text);
             CREATE INDEX ON orders (note)",
        )
        .await;
    let run = ask("r1", Append).key(&["id"]).days("2025-08-01", 20).manifest();
    world.loader.register(&run).await.unwrap();
    let mut markers = world.commit_all(&run, 3).await;
    for (place, row) in [(3, "x,2025-08-04,n".to_owned()), (11, format!("77,2025-08-12,{}", noise(9_000)))] {
        world
            .storage
            .void(&markers[place].chunk, 1, nstore_shared::storage::marker::VoidReason::Retried, "x")
            .await
            .unwrap();
        markers[place] = world.commit(&run, &markers[place].chunk.range.to_string(), &[row]).await;
    }
    let damaged = world.artifact(&markers[6]);
    let bytes = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() - 2]).unwrap();

    let loads = together(&world, &run, &markers).await;
    for (place, load) in loads.iter().enumerate() {
        match (place, load) {
            (3, ChunkLoad::Refused { error, .. }) => assert!(error.contains("bigint"), "{error}"),
            // SQLSTATE class 54: an entry too large for the index
            (11, ChunkLoad::Refused { error, .. }) => assert!(error.contains("index row"), "{error}"),
            (6, ChunkLoad::Void { .. }) => {}
            (3 | 6 | 11, odd) => panic!("{place}: {odd:?}"),
            (_, load) => assert!(matches!(load, ChunkLoad::Loaded(_)), "{place}: {load:?}"),
        }
    }
    assert_eq!(world.rows().await, 17 * 3);
    assert_eq!(world.loader.failures(&run.run).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_repeated_append_skips_the_rows_of_all_chunks() {
    let world = world().await;
    for (run, per_day, new) in [("r1", 3, 3), ("r2", 3, 0), ("r3", 5, 2)] {
        let run = ask(run, Append).key(&["id"]).days("2025-08-01", 12).manifest();
        world.loader.register(&run).await.unwrap();
        let markers = world.commit_all(&run, per_day).await;
        for load in together(&world, &run, &markers).await {
            let ChunkLoad::Loaded(counts) = load else { panic!("{load:?}") };
            assert_eq!((counts.rows, counts.skipped, counts.changed), (new, u64::from(per_day) - new, 0));
        }
    }
    assert_eq!(world.rows().await, 12 * 5);
}

/// Text that no compression makes small.
fn noise(length: usize) -> String {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        char::from(b'a' + (state % 26) as u8)
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn a_column_that_changes_its_type_in_mid_run_ends_the_source() {
    let world = world().await;
    let run = ask("r1", Append).key(&["id"]).days("2025-08-01", 4).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 3).await;
    together(&world, &run, &markers[..2]).await;
    world.run_sql("ALTER TABLE orders ALTER day TYPE timestamptz").await;
    for rest in [&markers[2..], &markers[2..3]] {
        let ChunkLoads { done, error } = world.loader.load_chunks(&run, &run.sources[0], rest).await;
        let error = error.unwrap().to_string();
        assert!(done.is_empty() && error.contains("column `day`"), "{error}");
    }
    assert_eq!(world.rows().await, 6);
}

#[tokio::test]
async fn settings_of_the_database_do_not_change_what_a_load_does() {
    let base = world().await;
    let database = base.text("SELECT current_database()::text").await.remove(0).unwrap();
    for setting in [
        "default_transaction_isolation = 'repeatable read'",
        "synchronous_commit = off",
        "search_path = nstore, public",
        "datestyle = 'SQL, DMY'",
        "extra_float_digits = -10",
        "statement_timeout = '2s'",
        "idle_in_transaction_session_timeout = '2s'",
        "lock_timeout = '2s'",
    ] {
        base.run_sql(&format!("ALTER ROLE CURRENT_USER IN DATABASE \"{database}\" SET {setting}")).await;
    }
    base.run_sql(
        "SET statement_timeout = 0; SET lock_timeout = 0;
         CREATE FUNCTION nstore.count(anyelement) RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint';
         CREATE TABLE public.orders (id bigint PRIMARY KEY, day date NOT NULL, note text);
         CREATE TABLE public.seen (name text, setting text);
         CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO public.seen SELECT n, current_setting(n) FROM unnest(ARRAY['transaction_isolation',
                 'synchronous_commit', 'search_path', 'datestyle', 'statement_timeout', 'extra_float_digits']) AS n;
             RETURN NULL; END $$;
         CREATE TRIGGER look AFTER INSERT ON public.orders FOR EACH STATEMENT EXECUTE FUNCTION public.look()",
    )
    .await;
    let world = World::at(&base.url).await;
    world.run_sql("SET statement_timeout = 0").await;
    let run = ask("r1", Append).key(&["id"]).manifest();
    world.loader.register(&run).await.unwrap();
    let markers = world.commit_all(&run, 3).await;
    together(&world, &run, &markers).await;
    let seen = world.text("SELECT DISTINCT name || '=' || setting FROM public.seen ORDER BY 1").await;
    let seen: Vec<&str> = seen.iter().flatten().map(String::as_str).collect();
    assert_eq!(
        seen,
        [
            "datestyle=ISO, MDY",
            "extra_float_digits=1",
            "search_path=pg_catalog, nstore, public, pg_temp",
            "statement_timeout=0",
            "synchronous_commit=on",
            "transaction_isolation=read committed"
        ]
    );
}
