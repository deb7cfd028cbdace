//! Limits by key, and rates of tiers, as scripts read them.

use paceline_types::{Limit, Rate};

/// `<most at once> <rate a second> <burst>`, `-` for each that is not limited.
pub(crate) fn encode(limit: &Limit) -> String {
    let most = limit
        .concurrency
        .map_or_else(|| "-".to_owned(), |most| most.to_string());
    match limit.rate {
        Some(rate) => format!("{most} {} {}", rate.rate(), rate.burst()),
        None => format!("{most} - -"),
    }
}

/// The inverse of [`encode`]; none when it is not its output.
pub(crate) fn parse(text: &str) -> Option<Limit> {
    let mut parts = text.split(' ');
    let (most, rate, burst) = (parts.next()?, parts.next()?, parts.next()?);
    let concurrency = match most {
        "-" => None,
        most => Some(most.parse().ok()?),
    };
    let rate = match rate {
        "-" => None,
        rate => {
            let rate = Rate::per_second(rate.parse().ok()?).ok()?;
            Some(rate.with_burst(burst.parse().ok()?).ok()?)
        }
    };
    Some(Limit { concurrency, rate })
}

/// The rate of a tier: `<of a shard> <burst of a shard> <of the cluster>`.
pub(crate) fn encode_tier(rate: Rate, shards: u16) -> String {
    let share = rate.rate() / f64::from(shards.max(1));
    format!("{share} {:.0} {}", share.ceil().max(1.0), rate.rate())
}

/// What was asked of the cluster, of [`encode_tier`].
pub(crate) fn parse_tier(text: &str) -> Option<f64> {
    text.split(' ').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_back() {
        let rate = Rate::per_second(0.25).and_then(|rate| rate.with_burst(3));
        let rate = rate.expect("a rate");
        for (limit, text) in [
            (Limit::concurrency(5), "5 - -"),
            (Limit::rate(rate), "- 0.25 3"),
            (
                Limit {
                    concurrency: Some(1),
                    rate: Some(rate),
                },
                "1 0.25 3",
            ),
        ] {
            assert_eq!(encode(&limit), text);
            assert_eq!(parse(text), Some(limit));
        }
        assert_eq!(parse("x - -"), None);
    }

    #[test]
    fn a_tier_is_limited_by_its_share_in_each_shard() {
        let rate = Rate::per_second(10.0).expect("a rate");
        for (shards, text) in [(1, "10 10 10"), (4, "2.5 3 10"), (16, "0.625 1 10")] {
            assert_eq!(encode_tier(rate, shards), text);
            assert_eq!(parse_tier(text), Some(10.0));
        }
    }
}
