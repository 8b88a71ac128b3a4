//! States of ranges of offsets as they are stored, and how a change is laid over what was there.

/// What is stored of a record. That somebody holds it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be delivered.
    Available,
    /// Processed.
    Acknowledged,
    /// Given up.
    Archived,
}

impl DeliveryState {
    /// The number on the wire and in records.
    pub fn id(self) -> i8 {
        match self {
            Self::Available => 0,
            Self::Acknowledged => 2,
            Self::Archived => 4,
        }
    }

    /// Reads the number; 1, a record that is held, is never stored.
    pub fn from_id(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::Available),
            2 => Some(Self::Acknowledged),
            4 => Some(Self::Archived),
            _ => None,
        }
    }
}

/// Offsets in the same state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBatch {
    /// The first one.
    pub first_offset: i64,
    /// The last one.
    pub last_offset: i64,
    /// Their state.
    pub state: DeliveryState,
    /// How often they were delivered.
    pub delivery_count: i16,
}

impl StateBatch {
    fn joins(&self, next: &Self) -> bool {
        self.last_offset + 1 == next.first_offset
            && self.state == next.state
            && self.delivery_count == next.delivery_count
    }
}

/// Lays changes over what was known, forgets what is before `start`, and joins neighbours that are alike. Both are sorted
/// and without overlaps, and so is what comes of it.
pub fn overlay(known: &[StateBatch], changes: &[StateBatch], start: i64) -> Vec<StateBatch> {
    let mut all = Vec::with_capacity(known.len() + changes.len());
    let mut later = changes.iter().peekable();
    for batch in known {
        let mut first = batch.first_offset;
        while let Some(change) = later.peek() {
            if change.first_offset > batch.last_offset {
                break;
            }
            if first < change.first_offset {
                all.push(StateBatch { first_offset: first, last_offset: change.first_offset - 1, ..*batch });
            }
            first = first.max(change.last_offset + 1);
            if change.last_offset > batch.last_offset {
                break;
            }
            all.extend(later.next());
        }
        if first <= batch.last_offset {
            all.push(StateBatch { first_offset: first, ..*batch });
        }
    }
    all.extend(later);
    let mut joined: Vec<StateBatch> = Vec::with_capacity(all.len());
    for batch in all {
        if batch.last_offset < start {
            continue;
        }
        let batch = StateBatch { first_offset: batch.first_offset.max(start), ..batch };
        match joined.last_mut() {
            Some(last) if last.joins(&batch) => last.last_offset = batch.last_offset,
            _ => joined.push(batch),
        }
    }
    joined
}
