//! Of many figures one: median, spread, percentiles. Pure.

use std::time::Duration;

/// The middle one; of an even number the mean of the two in the middle; 0 of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (None, _) => 0.0,
        (Some(&upper), 1) => upper,
        (Some(&upper), _) => f64::midpoint(sorted[middle - 1], upper),
    }
}

/// How far the largest is from the smallest, as a share of the median; 0 where that says nothing.
pub(super) fn spread(values: &[f64]) -> f64 {
    let middle = median(values);
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    if values.len() < 2 || middle == 0.0 {
        return 0.0;
    }
    (largest - smallest) / middle
}

/// Durations in order, for percentiles.
#[derive(Clone, Debug, Default)]
pub(super) struct Sorted(Vec<Duration>);

impl Sorted {
    /// Puts them in order.
    pub(super) fn new(mut durations: Vec<Duration>) -> Sorted {
        durations.sort_unstable();
        Sorted(durations)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest one that at least `share` of them do not exceed, in microseconds; 0 of none.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of measurements, and a share of it"
    )]
    pub(super) fn percentile_us(&self, share: f64) -> f64 {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        let found = self.0.get(rank.saturating_sub(1));
        found.map_or(0.0, |found| micros(*found))
    }
}

/// Microseconds with their fractions.
pub(super) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

/// Rounded to five significant digits, more of which no measurement has.
pub(super) fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let text = format!("{value:.4e}");
    text.parse().unwrap_or(value)
}

/// `part / whole`, and 0 where there is no whole.
pub(super) fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_how_far_apart() {
        for (values, middle, apart) in [
            (&[][..], 0.0, 0.0),
            (&[5.0], 5.0, 0.0),
            (&[3.0, 1.0, 2.0], 2.0, 1.0),
            (&[4.0, 1.0, 2.0, 3.0], 2.5, 1.2),
        ] {
            assert!((median(values) - middle).abs() < 1e-9, "{values:?}");
            assert!((spread(values) - apart).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred = Sorted::new((1..=100).rev().map(Duration::from_micros).collect());
        for (share, expected) in [
            (0.5, 50.0),
            (0.99, 99.0),
            (0.999, 100.0),
            (1.0, 100.0),
            (0.0, 1.0),
        ] {
            assert!((hundred.percentile_us(share) - expected).abs() < 1e-6);
        }
        assert!(Sorted::default().percentile_us(0.5).abs() < 1e-9);
    }

    #[test]
    fn five_digits_are_kept() {
        for (value, expected) in [
            (123_456.7, 123_460.0),
            (0.001_234_567, 0.001_234_6),
            (0.0, 0.0),
            (f64::INFINITY, 0.0),
        ] {
            assert!((rounded(value) - expected).abs() < 1e-9, "{value}");
        }
    }
}
