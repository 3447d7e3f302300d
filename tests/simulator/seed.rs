//! Chance without a clock: the same seed, source, day and row give the same draws on every machine.

use chrono::NaiveDate;

/// The finalizer of splitmix64: a bijection, so distinct inputs never collide.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Days since 1970, as a number to mix.
pub(crate) fn day_number(day: NaiveDate) -> u64 {
    let days = day.signed_duration_since(NaiveDate::default()).num_days();
    u64::from_ne_bytes(days.to_ne_bytes())
}

/// A row of draws that belongs to one thing.
pub(crate) struct Dice(u64);

impl Dice {
    /// The draws of one row (or of a whole day, with `u64::MAX` as its index) of one kind of thing.
    pub(crate) fn new(seed: u64, kind: u64, day: NaiveDate, index: u64) -> Self {
        Self(mix(mix(mix(seed ^ kind.wrapping_mul(0x9e37)).wrapping_add(day_number(day))) ^ index))
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from 0 to `limit - 1`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// The same, for signed arithmetic.
    pub(crate) fn below_i64(&mut self, limit: u32) -> i64 {
        i64::try_from(self.below(u64::from(limit))).unwrap_or(0)
    }

    /// True once in `n`.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from[at]
    }

    /// A decimal with `places` digits after the point, from 0 up to `limit / 10^places`, as the nearest float.
    pub(crate) fn fraction(&mut self, limit: u32, places: i32) -> f64 {
        #[expect(clippy::cast_possible_truncation, reason = "below a limit of 32 bits")]
        let digits = self.below(u64::from(limit)) as u32;
        f64::from(digits) / 10f64.powi(places)
    }
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Fourteen letters and digits, as Razorpay's ids have them; distinct for distinct (kind, day, index) while
/// an index has at most 32 bits.
pub(crate) fn short_id(kind: u64, day: NaiveDate, index: u64) -> String {
    let mut rest = mix((kind << 56) ^ ((day_number(day) & 0xff_ffff) << 32) ^ index);
    let mut id = vec![b'0'; 14];
    for place in id.iter_mut().rev() {
        *place = ALPHABET[usize::try_from(rest % 62).unwrap_or(0)];
        rest /= 62;
    }
    String::from_utf8_lossy(&id).into_owned()
}
