//! The ordinary programs have all their guards, whatever their environment says.

use nstore_tests::simulator::Api;

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_takes_a_guard_away_from_the_ordinary_programs() {
    let mut house = House::with_rows(60).await;
    // those that can do without guards end at a name that they do not know
    house.env.push(("NSTORE_UNGUARDED".to_owned(), "claimed-days,no-such-guard".to_owned()));
    house.edit("mappings/seller_tickets.yaml", "key: [ticket_id]\n", "");
    let _worker = house.worker(2);
    let extract = "extract --start-date 2025-08-01 --end-date 2025-08-02 --sources seller_tickets --upload";
    house.good(extract).await;
    let again = house.run(extract).await;
    assert_eq!(again.code, Some(2), "the days are held\n{}", again.stderr);
    house.assert_equal(&[Api::SellerTickets], "2025-08-01", "2025-08-02").await;
}
