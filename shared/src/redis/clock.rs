//! How far the clock of this host is from that of Redis, which orders extractions and ends leases.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Redis, RedisError, wire};

/// Differences that are worth a word. Less than that comes of the way to Redis and of ordinary drift.
pub const WORTH_A_WORD: TimeDelta = TimeDelta::seconds(5);

impl Redis {
    /// How far this host's clock is ahead of the clock of Redis, to about half the time that an answer takes; below
    /// zero when it is behind.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn clock_ahead(&self) -> Result<TimeDelta, RedisError> {
        let asked = Utc::now();
        let answer = self.connection.call(&redis::cmd("TIME")).await?;
        let answered = Utc::now();
        let [seconds, micros] = wire::items(answer)?;
        let (seconds, micros): (i64, i64) = (wire::number(&seconds)?, wire::number(&micros)?);
        let theirs = DateTime::from_timestamp(seconds, 0).map(|at| at + TimeDelta::microseconds(micros));
        let theirs = theirs.ok_or_else(|| RedisError::Protocol("its time is out of reach".into()))?;
        Ok(asked + (answered - asked) / 2 - theirs)
    }
}

/// What is said of a clock that differs so much, where it is worth a word.
pub fn remark(ahead: TimeDelta) -> Option<String> {
    let direction = if ahead < TimeDelta::zero() { "behind" } else { "ahead of" };
    (ahead.abs() >= WORTH_A_WORD).then(|| {
        format!("its clock is {} s {direction} the clock of redis: let NTP set it", ahead.abs().num_seconds())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_differences_are_not_worth_a_word() {
        assert_eq!(remark(TimeDelta::milliseconds(-4_999)), None);
        let ahead = remark(TimeDelta::seconds(3_600)).unwrap();
        assert!(ahead.starts_with("its clock is 3600 s ahead of the clock of redis"), "{ahead}");
        assert!(remark(TimeDelta::seconds(-7)).unwrap().contains("7 s behind the clock of redis"));
    }
}
