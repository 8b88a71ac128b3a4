//! What a member says became of records it holds.

use super::{Run, RunState, SharePartition};
use crate::group::MemberId;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcknowledgeType {
    /// There is no record at the offset.
    Gap,
    /// It was processed.
    Accept,
    /// It is for somebody else to try.
    Release,
    /// Nobody can process it.
    Reject,
    /// The member needs more time (KIP-1222).
    Renew,
}

impl AcknowledgeType {
    /// Reads the wire form.
    pub fn from_wire(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::Gap),
            1 => Some(Self::Accept),
            2 => Some(Self::Release),
            3 => Some(Self::Reject),
            4 => Some(Self::Renew),
            _ => None,
        }
    }
}

/// What became of a range of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The first one.
    pub first_offset: i64,
    /// The last one.
    pub last_offset: i64,
    /// One for all, or one for each.
    pub types: Vec<AcknowledgeType>,
}

/// Why nothing was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgeError {
    /// The member does not hold the record: its lock has timed out, or it never had it.
    #[error("the member does not hold the record at offset {offset}")]
    NotHeld {
        /// The first such offset.
        offset: i64,
    },
    /// The range ends beyond what was ever delivered.
    #[error("offset {offset} was never delivered")]
    NeverDelivered {
        /// The last offset of the range.
        offset: i64,
    },
    /// Neither one type for all records nor one for each.
    #[error("{types} types for offsets {first_offset} to {last_offset}")]
    TypeCount {
        /// The first offset of the range.
        first_offset: i64,
        /// The last offset of the range.
        last_offset: i64,
        /// How many types there are.
        types: usize,
    },
}

impl SharePartition {
    /// Does what a member says, all of it or nothing. What is before the start is done already.
    ///
    /// # Errors
    /// If the member does not hold all these records.
    pub fn acknowledge(
        &mut self,
        member: &MemberId,
        acknowledgements: &[Acknowledgement],
        now_ms: i64,
    ) -> Result<(), AcknowledgeError> {
        for acknowledgement in acknowledgements {
            self.check(member, acknowledgement)?;
        }
        for acknowledgement in acknowledgements {
            match acknowledgement.types.as_slice() {
                [one] => self.settle(acknowledgement.first_offset, acknowledgement.last_offset, *one, now_ms),
                many => {
                    let mut first = acknowledgement.first_offset;
                    for alike in many.chunk_by(|one, other| one == other) {
                        let next = first.saturating_add(i64::try_from(alike.len()).unwrap_or(i64::MAX));
                        if let Some(one) = alike.first() {
                            self.settle(first, next - 1, *one, now_ms);
                        }
                        first = next;
                    }
                }
            }
        }
        Ok(())
    }

    fn check(&self, member: &MemberId, acknowledgement: &Acknowledgement) -> Result<(), AcknowledgeError> {
        let Acknowledgement { first_offset, last_offset, ref types } = *acknowledgement;
        let size = last_offset.checked_sub(first_offset).and_then(|size| usize::try_from(size).ok());
        if types.len() != 1 && size.is_none_or(|size| size.checked_add(1) != Some(types.len())) {
            return Err(AcknowledgeError::TypeCount { first_offset, last_offset, types: types.len() });
        }
        let first = first_offset.max(self.start);
        if last_offset < first {
            return Ok(());
        }
        // As in Kafka, where nothing is in flight all is no longer held.
        if self.start == self.end_offset() {
            return Err(AcknowledgeError::NotHeld { offset: first });
        }
        if last_offset >= self.end_offset() {
            return Err(AcknowledgeError::NeverDelivered { offset: last_offset });
        }
        match self.runs.within(first, last_offset).find(|(_, _, run)| !run.is_held_by(member)) {
            Some((offset, _, _)) => Err(AcknowledgeError::NotHeld { offset }),
            None => Ok(()),
        }
    }

    fn settle(&mut self, first: i64, last: i64, what: AcknowledgeType, now_ms: i64) {
        let first = first.max(self.start);
        if last < first {
            return;
        }
        let limits = self.limits;
        let done = |run: &Run, state| Run { state, delivery_count: run.delivery_count };
        self.change(first, last, |run| match (what, &run.state) {
            (AcknowledgeType::Accept, _) => done(run, RunState::Acknowledged),
            (AcknowledgeType::Reject | AcknowledgeType::Gap, _) => done(run, RunState::Archived),
            (AcknowledgeType::Release, _) => Run::released(run.delivery_count, limits.delivery_count_max),
            (AcknowledgeType::Renew, RunState::Acquired { member, .. }) => {
                let deadline_ms = now_ms.saturating_add(limits.lock_ms);
                done(run, RunState::Acquired { member: member.clone(), deadline_ms })
            }
            (AcknowledgeType::Renew, _) => run.clone(),
        });
    }
}
