//! The rule against files of cases, its settings, its pace.

mod case_file;
mod figures;
mod golden;
mod pace;
mod settings;
