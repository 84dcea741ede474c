//! The wire forms of records and cells, generated from `proto/` and committed; a test keeps the two in step.
//! To write them again: `FLAGSTREAM_REWRITE=1 cargo test -p schemas wire`.

/// `proto/record.proto`.
#[allow(missing_docs, clippy::all)]
#[rustfmt::skip]
pub mod record;

/// `proto/cells.proto`.
#[allow(missing_docs, clippy::all)]
#[rustfmt::skip]
pub mod cells;

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn wire_code_is_what_the_proto_files_say() {
        let root = Path::new(".");
        let out = tempfile::tempdir().unwrap();
        let files = protox::compile(["record.proto", "cells.proto"], [root.join("proto")]).unwrap();
        prost_build::Config::new().bytes(["."]).out_dir(out.path()).compile_fds(files).unwrap();
        for (name, package) in [("record", "flagstream.record"), ("cells", "flagstream.cells")] {
            let made = std::fs::read_to_string(out.path().join(format!("{package}.rs"))).unwrap();
            let kept = root.join(format!("src/wire/{name}.rs"));
            if std::env::var_os("FLAGSTREAM_REWRITE").is_some() {
                std::fs::write(&kept, &made).unwrap();
            }
            assert!(std::fs::read_to_string(&kept).unwrap() == made, "{name}.rs differs from proto/{name}.proto");
        }
    }
}
