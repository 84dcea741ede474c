//! Stale flags over cells that were folded: each status, reasons, filters, order, pages, forms, and who may see what.

mod answers;
mod asked;
mod backtest;
pub(super) mod fleet;
mod forms;
mod said;
mod settings;
