//! The table of a run: measures rows beside their yardsticks and prints them.

use anyhow::Result;

use crate::pairs::{Pair, PairBudget, alternate, median};
use crate::ratios::{RatioEntry, Ratios};
use crate::row::{BenchRow, Verdict, format_number};
use crate::yardstick::{Yardstick, YardstickFigure, Yardsticks};

/// Prints rows as they are measured.
pub struct BenchReport {
    ratios: Ratios,
    yardsticks: Yardsticks,
    budget: PairBudget,
    is_good: bool,
}

impl BenchReport {
    /// Prints the head of the table.
    pub fn new() -> Result<Self> {
        let (ratios, yardsticks) = (Ratios::read()?, Yardsticks::new()?);
        println!("{}", BenchRow::table_header());
        Ok(Self { ratios, yardsticks, budget: PairBudget::DEFAULT, is_good: true })
    }

    /// Returns `true` if no row is over its limit.
    pub fn is_within_limits(&self) -> bool {
        self.is_good
    }

    /// Measures a row in pairs with the yardstick of its entry. Returns the median.
    pub fn measure_pairs(&mut self, what: &str, unit: &str, mut ours: impl FnMut() -> Result<f64>) -> Result<f64> {
        let entry = self.ratios.entry(what)?;
        if measure(&mut self.yardsticks, entry, unit)?.is_none() {
            let ours: Vec<f64> = (0..self.budget.min).map(|_| ours()).collect::<Result<_>>()?;
            let row = BenchRow::without_yardstick(what, unit, median(ours), entry.limit);
            return Ok(self.add(row));
        }
        let pairs = alternate(self.budget, || {
            let ours = ours()?;
            Ok((ours, measure(&mut self.yardsticks, entry, unit)?.unwrap_or(f64::NAN)))
        })?;
        let row = row(what, unit, &pairs, entry, is_recorded(entry));
        Ok(self.add(row))
    }

    /// Measures a row in pairs with a yardstick of the caller's, which the entry names. Returns the median.
    pub fn measure_custom_pairs(&mut self, what: &str, unit: &str, pair: impl FnMut() -> Result<Pair>) -> Result<f64> {
        let entry = self.ratios.entry(what)?;
        let row = row(what, unit, &alternate(self.budget, pair)?, entry, false);
        Ok(self.add(row))
    }

    /// Adds figures that were measured just now, and measures their yardstick.
    pub fn add_measurement(&mut self, what: &str, unit: &str, ours: f64) -> Result<()> {
        let entry = self.ratios.entry(what)?;
        let row = match measure(&mut self.yardsticks, entry, unit)? {
            Some(yardstick) => row(what, unit, &[(ours, yardstick)], entry, is_recorded(entry)),
            None => BenchRow::without_yardstick(what, unit, ours, entry.limit),
        };
        self.add(row);
        Ok(())
    }

    /// Adds pairs that were measured elsewhere, with a yardstick that the entry names.
    pub fn add_pairs(&mut self, what: &str, unit: &str, pairs: &[Pair]) -> Result<()> {
        let row = row(what, unit, pairs, self.ratios.entry(what)?, false);
        self.add(row);
        Ok(())
    }

    /// Prints a figure that is not compared, such as a peer's.
    pub fn note(&self, what: &str, figure: f64, unit: &str) {
        println!("{:<62} {:>14}", format!("  {what}"), format!("{} {unit}", format_number(figure)));
    }

    /// Returns the entry of a row.
    pub fn entry(&self, what: &str) -> Result<&RatioEntry> {
        self.ratios.entry(what)
    }

    /// Measures a yardstick. Returns `None` if it is missing here, or belongs to a module.
    pub fn measure_yardstick(&mut self, yardstick: &Yardstick) -> Result<Option<YardstickFigure>> {
        self.yardsticks.measure(yardstick)
    }

    /// Prints a row. Returns our figure.
    fn add(&mut self, row: BenchRow) -> f64 {
        self.is_good &= row.verdict != Verdict::OverLimit;
        println!("{row}");
        row.ours
    }
}

/// Measures the yardstick of an entry. The time of a peer is the recorded number of spawns.
fn measure(yardsticks: &mut Yardsticks, entry: &RatioEntry, unit: &str) -> Result<Option<f64>> {
    let (yardstick, times) = match entry.recorded_spawns {
        Some(spawns) => (&Yardstick::Spawn, spawns),
        None => (&entry.yardstick, 1.0),
    };
    let figure = yardsticks.measure(yardstick)?;
    figure.map(|figure| Ok(figure.to_unit(unit)? * times)).transpose()
}

fn is_recorded(entry: &RatioEntry) -> bool {
    entry.recorded_spawns.is_some()
}

fn row(what: &str, unit: &str, pairs: &[Pair], entry: &RatioEntry, is_recorded: bool) -> BenchRow {
    let name = format!("{}{}", entry.yardstick.name(), if is_recorded { " (recorded)" } else { "" });
    BenchRow::new(what, unit, pairs, &name, entry.is_rate, entry.limit)
}
