//! Writes an embedded log as one file that any program can read (`eventlog/src/dump.rs` has the form); the server that
//! uses the log must be stopped: `cargo run -p eventlog --example dump DATA/log FILE [partitions] [generation]`.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use eventlog::dump::dump;
use eventlog::embedded::{EmbeddedLog, Options};
use eventlog::files::Directory;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(folder), Some(file)) = (words.next(), words.next()) else {
        return Err("give the log's folder and the file to write: dump DATA/log FILE [partitions] [generation]".into());
    };
    let partitions = words.next().map_or(Ok(4), |number| number.parse())?;
    let generation = words.next().map_or(Ok(1), |number| number.parse())?;
    let mut options = Options::new(partitions, generation, Arc::new(|| 0));
    // Nothing that is held may go while it is read.
    options.retain_bytes = u64::MAX;
    let (log, _) = EmbeddedLog::open(Arc::new(Directory::open(Path::new(&folder))?), options)?;
    let mut out = BufWriter::new(File::create(&file)?);
    let records = tokio::runtime::Runtime::new()?.block_on(dump(&log, &mut out))?;
    println!("{records} records are in {file}");
    Ok(())
}
