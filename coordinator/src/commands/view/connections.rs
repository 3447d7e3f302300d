//! What answered, how fast, and the fix for what did not.

use super::table;
use crate::commands::config::connections::{Answer, Tried};

/// One line each; a fix stands below its line.
pub(in crate::commands) fn table(tried: &[Tried]) -> String {
    let mut table = table::table(&["what", "answer", "latency", "detail"], &[2]);
    for one in tried {
        let answer = match one.answer {
            Answer::Ok => "ok",
            Answer::Failed => "FAILED",
            Answer::Unreachable => "UNREACHABLE",
            Answer::NoData => "no data",
            Answer::NotTried => "not tried",
        };
        let latency = one.millis.map_or_else(String::new, |millis| format!("{millis} ms"));
        let hint = one.hint.as_ref().map_or_else(String::new, |hint| format!("\n  {hint}"));
        table.add_row([one.what.clone(), answer.to_owned(), latency, format!("{}{hint}", one.detail)]);
    }
    table::text(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_latency_or_its_fix() {
        let one = |what: &str, answer, millis, detail: &str, hint: Option<&str>| Tried {
            what: what.into(),
            answer,
            millis,
            detail: detail.into(),
            hint: hint.map(Into::into),
        };
        insta::assert_snapshot!(table(&[
            one("redis", Answer::Ok, Some(1), "version 7.0.15 at redis://:***@127.0.0.1", None),
            one("postgres", Answer::Unreachable, None, "no answer within 15 s", Some("start it")),
            one("buyer_orders", Answer::Ok, Some(210), "100 records on the first page", None),
            one(
                "buyer_razorpay",
                Answer::NotTried,
                None,
                "secret `razorpay.key_id` is not on this host",
                None
            ),
        ]));
    }
}
