//! The log as one file, for programs that share no code with this one.
//!
//! Always true here: a partition's records follow each other in order of offset, from the first that is held to the end
//! as it was when the dump began. The file is [`MAGIC`], then for each record: partition (4 bytes), offset (8), append
//! time in Unix milliseconds (8, signed), bytes of the header (4) and of the body (4), all big-endian; header; body.
//! `loadtest/check/check.py` reads it.

use std::io::Write;

use schemas::log::Logged;

use crate::{Error, EventLog, Signal};

/// How a dump begins.
pub const MAGIC: &[u8] = b"flagstream dump 1\n";

/// Writes all records that the log holds: how many.
///
/// # Errors
/// [`Error::Io`] when `out` refuses; [`Error::OutOfRange`] when the log drops records meanwhile, or ends before it said
/// it would; what the log's reader says.
pub async fn dump(log: &dyn EventLog, out: &mut (dyn Write + Send)) -> Result<u64, Error> {
    let refused = |source| Error::Io { what: "writing the dump".into(), source };
    out.write_all(MAGIC).map_err(refused)?;
    let mut records = 0;
    for (partition, held) in (0_u32..).zip(log.held().await?) {
        let mut reader = log.read(partition)?;
        let mut next = held.first;
        while next < held.end {
            match reader.next().await? {
                Signal::Assigned { partition } => reader.begin(partition, next)?,
                Signal::Batch { records: batch, .. } => {
                    for record in batch.iter().filter(|record| record.offset < held.end) {
                        write(partition, record, out).map_err(refused)?;
                        next = record.offset + 1;
                        records += 1;
                    }
                }
                // The end was told before: there is nothing to wait for.
                Signal::Idle | Signal::Revoked { .. } => {
                    return Err(Error::OutOfRange { partition, asked: next, first: held.first, end: held.end });
                }
            }
        }
    }
    out.flush().map_err(refused)?;
    Ok(records)
}

fn write(partition: u32, record: &Logged, out: &mut dyn Write) -> std::io::Result<()> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(std::io::Error::other);
    out.write_all(&partition.to_be_bytes())?;
    out.write_all(&record.offset.to_be_bytes())?;
    out.write_all(&record.append_ms.to_be_bytes())?;
    out.write_all(&length(&record.header)?.to_be_bytes())?;
    out.write_all(&length(&record.body)?.to_be_bytes())?;
    out.write_all(&record.header)?;
    out.write_all(&record.body)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use schemas::log::Append;

    use super::*;
    use crate::memory::MemoryLog;

    #[tokio::test]
    async fn a_dump_has_every_record_once_in_order() {
        let log = MemoryLog::new(2);
        log.set_append_ms(-2);
        let append = |partition, header: &'static [u8], body: &'static [u8]| Append {
            partition,
            header: Bytes::from_static(header),
            body: Bytes::from_static(body),
        };
        log.append(vec![append(1, b"h", b"body"), append(0, b"", b""), append(1, b"hh", b"b")]).await.unwrap();
        let mut bytes = Vec::new();
        assert_eq!(dump(&log, &mut bytes).await.unwrap(), 3);
        let frame = |partition: u8, offset: u8, lengths: [u8; 2], text: &[u8]| {
            let mut frame = vec![0, 0, 0, partition, 0, 0, 0, 0, 0, 0, 0, offset];
            frame.extend([0xff; 7]);
            frame.extend([0xfe, 0, 0, 0, lengths[0], 0, 0, 0, lengths[1]]);
            frame.extend(text);
            frame
        };
        let wanted = [frame(0, 0, [0, 0], b""), frame(1, 0, [1, 4], b"hbody"), frame(1, 1, [2, 1], b"hhb")].concat();
        assert_eq!(bytes, [MAGIC, &wanted].concat());
    }
}
