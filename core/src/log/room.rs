//! Room behind the batches of a log: zeros, written before they are needed. A sync of bytes that take the place of others
//! costs the file system about three fifths of one that makes the file longer, since it has no length and no new blocks to write
//! down; who syncs often and little at a time gains by it, and the first sync of the room pays for it.
//!
//! The room belongs to the file and not to the log: no size counts it, no reader sees it. It is given back when the
//! segment is closed, when the log is, and when [`Log::cut_room`] says so. What is left of it by a death is cut off by the
//! next opening, to which zeros are an end that was never written ([`super::recovery`]).

use super::{Log, StorageError};

impl Log {
    /// From the next append on, makes so many bytes of room whenever there is none left; 0 for none.
    pub fn set_room_bytes(&mut self, bytes: u64) {
        self.room_bytes = bytes;
    }

    /// Bytes of room there are.
    pub fn room_in_bytes(&self) -> u64 {
        self.segments.values().next_back().map_or(0, super::segment::Segment::room_in_bytes)
    }

    /// Gives the room back. The next flush makes that durable.
    ///
    /// # Errors
    /// [`StorageError`] if the file cannot be cut; the room is still there then, and harms nobody.
    pub fn cut_room(&mut self) -> Result<(), StorageError> {
        let Some(active) = self.segments.values_mut().next_back() else { return Ok(()) };
        let file = active.path("log").display().to_string();
        active.cut_room(&*self.vfs).map_err(|source| StorageError { action: "truncate", file, source })
    }
}
