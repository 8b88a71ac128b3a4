//! The readers of the files beside segments: indexes, snapshots, checkpoints, identities. Whatever bytes they get, they end
//! in entries or an error, and no reader gives more entries than its file has room for. Input: a file's number, its bytes.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use riverrun_core::log::{
    LogDirectory, SimulatedVfs, Vfs,
    inspect::{aborted_entries, offset_entries, snapshot_entries, time_entries},
    read_bookmarks, read_epochs, read_offsets, read_topic_id,
};

fuzz_target!(|data: &[u8]| {
    let [number, bytes @ ..] = data else { return };
    let vfs = SimulatedVfs::in_memory();
    let path = Path::new("/data/meta.properties");
    vfs.create_dir_all(Path::new("/data")).expect("memory");
    vfs.create(path).and_then(|file| file.write_at(0, bytes)).expect("memory");
    let base = i64::from(*number) << 55;
    let entries = match number % 9 {
        0 => offset_entries(&vfs, path, base).expect("memory").count() * 8,
        1 => time_entries(&vfs, path, base).expect("memory").count() * 12,
        2 => aborted_entries(&vfs, path).expect("memory").count() * 34,
        3 => snapshot_entries(&vfs, path).expect("memory").map_or(0, |entries| entries.len() * 46),
        4 => read_epochs(&vfs, path).map_or(0, |epochs| epochs.map_or(0, |epochs| epochs.len() * 3)),
        5 => read_offsets(&vfs, path).map_or(0, |offsets| offsets.len() * 5),
        6 => read_bookmarks(&vfs, path).map_or(0, |bookmarks| bookmarks.len() * 20),
        7 => read_topic_id(&vfs, path).map_or(0, |_| 0),
        _ => LogDirectory::identity_at(&vfs, Path::new("/data")).map_or(0, |_| 0),
    };
    assert!(entries <= bytes.len());
});
