//! What requests to models used and cost: each is booked in a file of its month, sums are made of these files, and budgets
//! are held against them.
//!
//! Requests through the gateway are booked one by one. A task that talks to its provider itself is booked as a whole, from
//! what its CLI says. Interactive runs of that kind say nothing, so they are not booked.
//!
//! Not for reading the CLIs' streams (`launch`) or answers of models (`dialects`): they count.

mod book;
mod booking;
mod budget;
mod sum;

pub use book::{Book, UsageError};
pub use booking::{Booking, Source, Tokens, plausible_cost};
pub use budget::{OverBudget, Spending};
pub use sum::{By, Sum, UsageRow, sum_by};
