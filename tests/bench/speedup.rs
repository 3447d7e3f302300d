//! 32 one-day chunks of an API that takes 50 ms a request: 4 in flight against one at a time.

use std::time::Duration;

use nstore_tests::simulator::Options;

use crate::field::{Field, median};

const RUN: &str = "extract --start-date 2025-08-01 --end-date 2025-09-01 --sources buyer_razorpay \
                   --chunk-sizes buyer_razorpay:1 --parallel-workers 4";

pub(crate) async fn measure(runs: usize) -> anyhow::Result<()> {
    let latency = Duration::from_millis(50);
    // ten pages of 100 a day: small ones, so that what is measured is the waiting and not two cores at work
    let field =
        Field::new(Options { rows_per_day: 4_900, exact: true, latency, ..Options::default() }).await?;
    let _worker = field.worker(4);
    let mut ratios = vec![];
    for round in 0..=runs {
        let sequential = field.nstore(&format!("{RUN} --execution-mode buyer_razorpay:sequential")).await?;
        let parallel = field.nstore(&format!("{RUN} --execution-mode buyer_razorpay:parallel")).await?;
        let ratio = sequential.as_secs_f64() / parallel.as_secs_f64();
        let word = if round == 0 { "warm-up" } else { "counted" };
        println!(
            "speedup: sequential {sequential:.1?}, 4 in flight {parallel:.1?}, {ratio:.2} times faster ({word})"
        );
        if round > 0 {
            ratios.push(ratio);
        }
    }
    println!("speedup: median of {runs} runs: {:.2} times faster", median(ratios));
    Ok(())
}
