//! Figures in pairs with a yardstick: the median of their ratios, its spread, and how many pairs are measured.

use std::time::{Duration, Instant};

use anyhow::Result;

/// The spread from which on a row is unstable.
pub const MAX_SPREAD: f64 = 0.10;

/// One figure of ours and one of the yardstick, measured one after the other. Both have the same unit.
pub type Pair = (f64, f64);

/// How many pairs a row may take. The timeout counts once `min` pairs are there.
#[derive(Debug, Clone, Copy)]
pub struct PairBudget {
    pub min: usize,
    pub max: usize,
    pub timeout: Duration,
}

impl PairBudget {
    pub const DEFAULT: Self = Self { min: 7, max: 101, timeout: Duration::from_secs(20) };

    /// Returns `true` if no further pair is to be measured.
    pub fn is_spent(self, ratios: &[f64], elapsed: Duration) -> bool {
        let has_enough = ratios.len() >= self.min;
        ratios.len() >= self.max || has_enough && (elapsed >= self.timeout || spread(ratios) < MAX_SPREAD)
    }
}

/// Measures pairs until their spread is below [`MAX_SPREAD`] or the budget is spent.
pub fn alternate(budget: PairBudget, mut pair: impl FnMut() -> Result<Pair>) -> Result<Vec<Pair>> {
    let (begun, mut pairs, mut ratios) = (Instant::now(), Vec::new(), Vec::new());
    while !budget.is_spent(&ratios, begun.elapsed()) {
        let (ours, yardstick) = pair()?;
        pairs.push((ours, yardstick));
        ratios.push(ours / yardstick);
    }
    Ok(pairs)
}

/// Returns the upper median, or 0 without values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Returns the width of the 95 % confidence interval of the median, divided by the median. It shrinks as values are
/// added. The interval lies between two of the sorted values, by their ranks; below 11 values, these are the smallest
/// and the largest one.
pub fn spread(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let rank = ((count - 1.96 * count.sqrt()) / 2.0).floor().max(1.0) as usize;
    let (Some(low), Some(high)) = (sorted.get(rank - 1), sorted.get(sorted.len().wrapping_sub(rank))) else {
        return f64::INFINITY;
    };
    if low.total_cmp(high).is_eq() { 0.0 } else { (high - low) / median(sorted).abs() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_value() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 3.0);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn few_values_spread_over_their_range() {
        assert_eq!(spread(&[]), f64::INFINITY);
        assert_eq!(spread(&[2.0]), 0.0);
        assert_eq!(spread(&[1.0, 2.0, 3.0]), 1.0);
        assert_eq!(spread(&[0.0; 5]), 0.0);
    }

    #[test]
    fn the_spread_of_many_values_ignores_outliers_and_shrinks() {
        let mut values: Vec<f64> = (0..11).map(|at| 1.0 + f64::from(at) / 100.0).collect();
        values[10] = 50.0;
        assert!(spread(&values) < MAX_SPREAD, "{}", spread(&values));
        let noise = |count: u32| -> Vec<f64> { (0..count).map(|at| 1.0 + f64::from(at * 7 % 10) / 20.0).collect() };
        assert!(spread(&noise(100)) < spread(&noise(20)));
    }

    #[test]
    fn pairs_end_when_they_are_stable_or_the_budget_is_spent() {
        let budget = PairBudget { min: 3, max: 9, timeout: Duration::from_secs(60) };
        assert_eq!(alternate(budget, || Ok((2.0, 1.0))).unwrap().len(), 3);
        let mut turn = 0.0;
        let noisy = || {
            turn += 1.0;
            Ok((turn, 1.0))
        };
        assert_eq!(alternate(budget, noisy).unwrap().len(), 9);
        let late = PairBudget { timeout: Duration::ZERO, ..budget };
        assert_eq!(alternate(late, || Ok((2.0, 1.0))).unwrap().len(), 3);
        assert!(alternate(budget, || anyhow::bail!("no figure")).is_err());
    }
}
