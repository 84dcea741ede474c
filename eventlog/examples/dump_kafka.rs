//! Writes a topic as one file that any program can read (`eventlog/src/dump.rs` has the form):
//! `cargo run -p eventlog --features kafka --example dump_kafka BROKERS TOPIC FILE [partitions]`.

use std::fs::File;
use std::io::BufWriter;

use eventlog::dump::dump;
use eventlog::kafka::{KafkaLog, Options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(brokers), Some(topic), Some(file)) = (words.next(), words.next(), words.next()) else {
        return Err("give brokers, topic and the file to write: dump_kafka HOST:PORT TOPIC FILE [partitions]".into());
    };
    let partitions = words.next().map_or(Ok(4), |number| number.parse())?;
    let mut out = BufWriter::new(File::create(&file)?);
    let records = tokio::runtime::Runtime::new()?.block_on(async {
        let log = KafkaLog::open(Options::new(brokers, topic, partitions)).await?;
        dump(&log, &mut out).await
    })?;
    println!("{records} records are in {file}");
    Ok(())
}
