//! A row of the table, and its verdict.

use std::fmt;

use crate::pairs::{MAX_SPREAD, Pair, median, spread};

/// A figure beside a yardstick of the same run.
#[derive(Debug)]
pub struct BenchRow {
    pub label: String,
    pub unit: String,
    /// The median.
    pub ours: f64,
    /// The name and the median, in `unit`. `None` if the yardstick is missing here.
    pub yardstick: Option<(String, f64)>,
    /// The median of the ratios of the pairs, ours to the yardstick's. Of a rate, the yardstick's to ours: a larger
    /// ratio is worse for every row.
    pub ratio: Option<f64>,
    /// The largest ratio that passes. `None` if the row is shown only.
    pub limit: Option<f64>,
    /// `None` for a figure that was measured once.
    pub spread: Option<f64>,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    OverLimit,
    /// The spread is too large for a verdict.
    Unstable,
    /// There is no ratio.
    NoYardstick,
}

impl Verdict {
    fn new(ratio: Option<f64>, limit: Option<f64>, spread: Option<f64>) -> Self {
        match (ratio, limit) {
            (None, Some(_)) => Self::NoYardstick,
            (Some(_), _) if spread.is_some_and(|spread| spread >= MAX_SPREAD) => Self::Unstable,
            (Some(ratio), Some(limit)) if ratio > limit => Self::OverLimit,
            _ => Self::Ok,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::OverLimit => "OVER",
            Self::Unstable => "unstable",
            Self::NoYardstick => "no yardstick",
        })
    }
}

impl BenchRow {
    /// Builds a row from pairs. Of one pair, no spread is known.
    pub fn new(what: &str, unit: &str, pairs: &[Pair], yardstick: &str, is_rate: bool, limit: Option<f64>) -> Self {
        let of_pair = |(ours, other): &Pair| if is_rate { other / ours } else { ours / other };
        let ratios: Vec<f64> = pairs.iter().map(of_pair).collect();
        let spread = (pairs.len() > 1).then(|| spread(&ratios));
        let ratio = Some(median(ratios));
        Self {
            label: what.to_owned(),
            unit: unit.to_owned(),
            ours: median(pairs.iter().map(|pair| pair.0).collect()),
            yardstick: Some((yardstick.to_owned(), median(pairs.iter().map(|pair| pair.1).collect()))),
            ratio,
            limit,
            spread,
            verdict: Verdict::new(ratio, limit, spread),
        }
    }

    /// Builds a row whose yardstick is missing here.
    pub fn without_yardstick(what: &str, unit: &str, ours: f64, limit: Option<f64>) -> Self {
        let verdict = Verdict::new(None, limit, None);
        let (what, unit) = (what.to_owned(), unit.to_owned());
        Self { label: what, unit, ours, yardstick: None, ratio: None, limit, spread: None, verdict }
    }

    /// Returns the head of a table of rows.
    pub fn table_header() -> String {
        let (yardstick, limit) = ("yardstick", "limit");
        format!("{:<62} {:>14} {yardstick:<34} {:>9} {limit:>9} {:>7}", "", "aiw", "ratio", "spread")
    }
}

impl fmt::Display for BenchRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label: what, unit, ours, verdict, .. } = self;
        let number = |number: Option<f64>| number.map_or("-".to_owned(), format_number);
        let yardstick = self.yardstick.as_ref().map_or("-".to_owned(), |(name, figure)| {
            let figure = format!("{} {unit}", format_number(*figure));
            format!("{name} {figure}")
        });
        let spread = self.spread.map_or("1 run".to_owned(), |spread| format!("{:.0} %", spread * 100.0));
        let (ours, ratio, limit) = (format!("{} {unit}", format_number(*ours)), number(self.ratio), number(self.limit));
        write!(f, "{what:<62} {ours:>14} {yardstick:<34} {ratio:>9} {limit:>9} {spread:>7}")?;
        if *verdict == Verdict::Ok { Ok(()) } else { write!(f, "  {verdict}") }
    }
}

/// Formats a number with three digits or more.
pub fn format_number(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 || number == 0.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        size if size >= 1.0 => format!("{number:.2}"),
        size if size >= 0.001 => format!("{number:.4}"),
        _ => format!("{number:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_a_limit_a_yardstick_and_a_small_spread() {
        let verdict = Verdict::new;
        assert_eq!(verdict(Some(9.0), None, None), Verdict::Ok);
        assert_eq!(verdict(Some(9.0), None, Some(MAX_SPREAD)), Verdict::Unstable);
        assert_eq!(verdict(None, Some(2.0), None), Verdict::NoYardstick);
        assert_eq!(verdict(Some(2.0), Some(2.0), Some(0.05)), Verdict::Ok);
        assert_eq!(verdict(Some(2.1), Some(2.0), Some(0.05)), Verdict::OverLimit);
        assert_eq!(verdict(Some(2.1), Some(2.0), Some(MAX_SPREAD)), Verdict::Unstable);
        assert_eq!(verdict(Some(2.1), Some(2.0), None), Verdict::OverLimit);
    }

    #[test]
    fn the_ratio_is_the_median_of_pairs_and_worse_if_larger() {
        let pairs = [(2.0, 1.0), (4.0, 2.0), (9.0, 3.0)];
        let row = BenchRow::new("a", "ms", &pairs, "spawn", false, Some(2.5));
        assert_eq!((row.ours, row.yardstick, row.ratio), (4.0, Some(("spawn".to_owned(), 2.0)), Some(2.0)));
        assert_eq!((row.spread, row.verdict), (Some(0.5), Verdict::Unstable));
        let rate = BenchRow::new("a", "MB/s", &[(100.0, 1000.0)], "memcpy", true, Some(5.0));
        assert_eq!((rate.ratio, rate.spread, rate.verdict), (Some(10.0), None, Verdict::OverLimit));
        assert_eq!(BenchRow::without_yardstick("a", "ms", 1.0, Some(1.0)).verdict, Verdict::NoYardstick);
    }

    #[test]
    fn a_row_is_one_line_that_ends_with_what_is_wrong() {
        let row = BenchRow::new("start", "ms", &[(3.0, 1.0)], "spawn", false, Some(2.0)).to_string();
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words, ["start", "3.00", "ms", "spawn", "1.00", "ms", "3.00", "2.00", "1", "run", "OVER"]);
        assert!(row.starts_with("start "));
    }
}
