//! Each lane against the replaced design, on the same portal and day, in turns.

use super::{
    portal::{DAY, LANES, Portal, reads},
    replaced::Replaced,
};
use crate::field::median;

/// Rows of the one page.
const ROWS: u64 = 5_000;
/// How many times the rate of the replaced design is asked of each lane.
const ASKED: [f64; 3] = [900.0, 900.0, 160.0];

/// What all rounds told of one side.
#[derive(Default)]
struct Figures {
    /// Rows a second while rows are taken from the page.
    rates: Vec<f64>,
    /// The same, and with the wait for the page's rest.
    waited: Vec<f64>,
    /// Seconds of the whole job.
    jobs: Vec<f64>,
}

pub(crate) async fn lanes(runs: usize) -> anyhow::Result<()> {
    let portal = Portal::new(ROWS, LANES[0]).await?;
    // without it the rates are told, and no ratio
    let replaced = Replaced::find().inspect_err(|error| println!("lanes: no ratio: {error:#}")).ok();
    let worker = portal.worker();
    let (mut figures, mut theirs) = (LANES.map(|_| Figures::default()), Figures::default());
    let (mut seen, mut rows) = (0, 0);
    for round in 0..=runs {
        // the first round warms the caches, and has the browser start
        let counts = round > 0;
        for (lane, figures) in LANES.iter().zip(&mut figures) {
            portal.read_by(lane)?;
            let job = portal.field.nstore(&run_of(DAY, DAY)).await?.as_secs_f64();
            seen += 1;
            let read = reads(&worker, seen).await?[seen - 1];
            rows = read.rows;
            println!(
                "lanes: {lane}: {rows} rows in {:.2} s, after {:.2} s of rest, job {job:.1} s{}",
                read.seconds,
                read.waited,
                if counts { "" } else { " (warm-up)" }
            );
            if counts {
                figures.rates.push(rows as f64 / read.seconds);
                figures.waited.push(rows as f64 / (read.seconds + read.waited));
                figures.jobs.push(job);
            }
        }
        if let Some(replaced) = replaced.as_ref().filter(|_| counts) {
            let pass = replaced.pass(&portal, rows)?;
            println!(
                "lanes: selenium: {} rows in {:.2} s, {:.1} s before",
                pass.rows, pass.reading, pass.there
            );
            theirs.rates.push(pass.rate());
            // the whole page at this rate
            theirs.jobs.push(pass.there + rows as f64 / pass.rate());
        }
    }
    tell(runs, figures, (!theirs.rates.is_empty()).then_some(theirs));
    Ok(())
}

fn tell(runs: usize, figures: [Figures; 3], theirs: Option<Figures>) {
    let theirs = theirs.map(|theirs| (median(theirs.rates), median(theirs.jobs)));
    if let Some((rate, job)) = theirs {
        println!(
            "lanes: medians of {runs} runs: selenium {rate:.1} rows/s, whole job {job:.0} s (projected)"
        );
    }
    for ((lane, asked), figures) in LANES.iter().zip(ASKED).zip(figures) {
        let (rate, waited, job) = (median(figures.rates), median(figures.waited), median(figures.jobs));
        print!(
            "lanes: medians of {runs} runs: {lane} {rate:.0} rows/s, {waited:.0} with the wait for rest, "
        );
        println!("whole job {job:.1} s");
        if let Some((their_rate, their_job)) = theirs {
            print!("lanes: {lane}: {:.0} times selenium's rate (asked for: {asked:.0}), ", rate / their_rate);
            println!("{:.0} with the wait, {:.0} for the whole job", waited / their_rate, their_job / job);
        }
    }
}

/// The arguments for these days, one a chunk.
pub(super) fn run_of(first: &str, last: &str) -> String {
    let days = "--chunk-sizes network_observability:1";
    format!("extract --start-date {first} --end-date {last} --sources network_observability {days}")
}
