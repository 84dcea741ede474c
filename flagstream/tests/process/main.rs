//! The real process: `flagstream up` started, spoken to over HTTP, stopped and killed.

mod captures;
mod command;
mod server;
