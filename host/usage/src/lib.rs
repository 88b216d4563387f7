//! What requests to models used and cost: each is booked in a file of its month, sums are made of these files, and budgets
//! are held against them.
//!
//! Requests through the gateway are booked one by one. A task that talks to its provider itself is booked as a whole, from
//! what its CLI says. Interactive runs of that kind say nothing, so they are not booked.
//!
//! A request is booked before it is sent, as what it will use at least, so that all that are open at once see each other. A book
//! knows how long it is and what it says: if bookings are lost, that is said, and budgets that refuse do.
//!
//! Not for reading the CLIs' streams (`launch`) or answers of models (`dialects`): they count.

mod budget;
mod checksums;
mod log;
mod record;
mod sum;
#[cfg(test)]
mod tests;

pub use budget::{AdmissionError, ExceededBudget, Spending, budgets_for};
pub use checksums::Loss;
pub use log::{OpenRequest, UsageError, UsageLog, UsageLogGuard};
pub use record::{TokenCounts, UsageRecord, UsageSource, plausible_cost};
pub use sum::{GroupBy, Sum, Sums, UsageRow, sum_by};
