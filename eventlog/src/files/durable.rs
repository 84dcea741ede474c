//! Directories that survive a power cut.
//!
//! Always true here: a directory that is there may have been made by a process that died before it was durable, so
//! being there proves nothing: the one above it is synced each time. One is made only in a directory that is durable
//! itself.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// What a directory may be used by that nobody else shall see.
const PRIVATE: u32 = 0o700;
/// Marks a directory that is shared on purpose, as the one for temporary files is.
const STICKY: u32 = 0o1000;

/// Makes a directory, and those above it, for its owner alone (mode 0700), and makes its name durable. One that is
/// there is closed to others too if it is this user's; one of somebody else, or shared on purpose (sticky), is left as
/// it is.
///
/// # Errors
/// Whatever the disk says.
pub fn create_private_durably(path: &Path) -> io::Result<()> {
    create(path, PRIVATE, &mut sync)?;
    let held = path.metadata()?;
    if !held.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let is_ours = held.uid() == rustix::process::geteuid().as_raw();
    if is_ours && held.mode() & 0o077 != 0 && held.mode() & STICKY == 0 {
        std::fs::set_permissions(path, Permissions::from_mode(PRIVATE))?;
        sync(path)?;
    }
    Ok(())
}

/// Makes a directory, and those above it, and makes its name durable.
pub(super) fn create_durably(path: &Path) -> io::Result<()> {
    create(path, 0o777, &mut sync)
}

/// `sync` makes the names in a directory durable.
fn create(path: &Path, mode: u32, sync: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let above = path.parent();
    let was_there = path.is_dir();
    if !was_there {
        above.map_or(Ok(()), |above| create(above, mode, sync))?;
        match DirBuilder::new().mode(mode).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let Some(above) = above else { return Ok(()) };
    match sync(if above.as_os_str().is_empty() { Path::new(".") } else { above }) {
        // Whoever made it for us in a directory that we may not even read has to answer for its name.
        Err(error) if was_there && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn synced(path: &Path) -> Vec<PathBuf> {
        let mut synced = Vec::new();
        create(path, 0o777, &mut |directory| {
            synced.push(directory.to_owned());
            Ok(())
        })
        .unwrap();
        synced
    }

    #[test]
    fn the_name_of_a_directory_is_synced_whoever_made_it() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let all = [root.parent().unwrap().to_owned(), root.to_owned(), root.join("a"), root.join("a/b")];
        assert_eq!(synced(&root.join("a/b/c")), all);
        assert_eq!(synced(&root.join("a/b/c")), all[3..], "one that is there proves nothing");
        assert_eq!(synced(Path::new("src")), [Path::new(".")]);
    }

    /// A crash between making and syncing leaves a directory that is not durable: nothing is built on it before it is.
    #[test]
    fn what_cannot_be_synced_is_not_built_upon() {
        let root = tempfile::tempdir().unwrap();
        let mut fails = |_: &Path| Err(io::Error::other("no sync"));
        create(&root.path().join("a/b"), 0o777, &mut fails).unwrap_err();
        assert!(!root.path().join("a").exists());
    }

    #[test]
    fn a_private_directory_is_for_its_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
        let (made, open, shared) = (root.path().join("a/b"), root.path().join("open"), root.path().join("shared"));
        create_private_durably(&made).unwrap();
        assert_eq!((mode(&made), mode(made.parent().unwrap())), (0o700, 0o700));
        for (path, before, after) in [(&open, 0o755, 0o700), (&shared, 0o1777, 0o1777)] {
            std::fs::create_dir(path).unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(before)).unwrap();
            create_private_durably(path).unwrap();
            assert_eq!(mode(path), after);
        }
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let refused = create_private_durably(&file).unwrap_err();
        assert_eq!((refused.kind(), mode(&file)), (io::ErrorKind::NotADirectory, 0o644), "a file is no directory");
    }
}
