//! The invariants, as questions to a log and answers from the ledger.

use std::collections::BTreeMap;

use riverrun_core::{
    LeaderEpoch,
    log::{AppendOrigin, Log},
    record::{ControlRecord, ControlRecordType, RecordBatch, batches},
};

use crate::{
    ledger::{Entry, Kind, Ledger},
    story::{Random, Violation, broken, repeat},
};

/// Every record of the log, read in steps of random size; batches are whole and their checksums hold.
pub(crate) fn read_all(log: &mut Log, random: &mut Random) -> Result<BTreeMap<i64, Entry>, Violation> {
    let (found, stopped) = read(log, random);
    match stopped {
        None => Ok(found),
        Some(reason) => broken("L1", reason),
    }
}

/// What can be read before the first error.
pub(crate) fn read_until_error(log: &mut Log, random: &mut Random) -> BTreeMap<i64, Entry> {
    read(log, random).0
}

fn read(log: &mut Log, random: &mut Random) -> (BTreeMap<i64, Entry>, Option<String>) {
    let mut found = BTreeMap::new();
    let max_bytes = 1 + usize::try_from(random.below(3000)).unwrap_or_default();
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let mut next = start;
    while next < end {
        let records = match log.read(next, max_bytes, end, true) {
            Ok(info) if info.records.is_empty() => return (found, Some(format!("nothing is found at offset {next}"))),
            Ok(info) => info.records,
            Err(error) => return (found, Some(format!("offset {next} cannot be read: {error}"))),
        };
        for batch in batches(records) {
            let after = batch.map_err(|error| error.to_string()).and_then(|batch| take(&batch, start, &mut found));
            match after {
                Ok(after) => next = after,
                Err(error) => return (found, Some(format!("the batch at offset {next} is damaged: {error}"))),
            }
        }
    }
    (found, None)
}

fn take(batch: &RecordBatch, start: i64, found: &mut BTreeMap<i64, Entry>) -> Result<i64, String> {
    let text = |error: riverrun_core::record::BatchError| error.to_string();
    let header = *batch.header();
    for record in &batch.decode(&Default::default()).map_err(text)? {
        let record = record.map_err(text)?;
        if record.offset < start {
            continue;
        }
        let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
        let mut key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        let (kind, sequence) = if header.attributes.is_control() {
            key.clear();
            let control = ControlRecord::parse(record.key).map_err(|error| error.to_string())?;
            (Kind::Marker { commit: control.control_type == ControlRecordType::Commit }, -1)
        } else {
            let index = i32::try_from(record.offset - header.base_offset).unwrap_or_default();
            let sequence = if header.has_producer_id() { header.base_sequence + index } else { -1 };
            let transactional = header.attributes.is_transactional();
            (if transactional { Kind::Transactional(value) } else { Kind::Plain(value) }, sequence)
        };
        let producer = (header.producer_id, header.producer_epoch);
        found.insert(record.offset, Entry { timestamp: record.timestamp, producer, sequence, key, kind });
    }
    Ok(header.next_offset())
}

/// L1, L2, L4, L10: there are no gaps but what compaction may leave, and every record is the one that was appended there.
pub(crate) fn records(found: &BTreeMap<i64, Entry>, ledger: &Ledger, log: &Log, now: i64) -> Result<(), Violation> {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    if i64::try_from(found.len()).unwrap_or_default() != end - start {
        let missing = (start..end).find(|at| !found.contains_key(at) && !ledger.may_be_compacted(*at, found, now));
        if let Some(missing) = missing {
            let invariant = if ledger.compacted.is_empty() { "L1" } else { "L10" };
            let what =
                format!("offset {missing} between {start} and {end} is gone: {:?}", ledger.entries.get(&missing));
            return broken(invariant, what);
        }
    }
    match found.iter().find(|(offset, entry)| !ledger.allows(**offset, entry)) {
        None => Ok(()),
        Some((offset, entry)) => {
            broken("L1", format!("offset {offset} holds {entry:?}, not {:?}", ledger.entries.get(offset)))
        }
    }
}

/// L3, L5: each producer's records stand in the order it sent them, each once.
pub(crate) fn sequences(ledger: &Ledger) -> Result<(), Violation> {
    let mut last = BTreeMap::new();
    for (offset, entry) in ledger.entries.iter().filter(|(_, entry)| entry.sequence >= 0) {
        if let Some(before) = last.insert(entry.producer, entry.sequence)
            && entry.sequence <= before
        {
            let (producer, sequence) = (entry.producer, entry.sequence);
            return broken("L5", format!("offset {offset}: {producer:?} has {sequence} after {before}"));
        }
    }
    Ok(())
}

/// T1: no reader of committed records passes an open transaction, and the list of aborted ones covers their records and no
/// others.
pub(crate) fn transactions(
    log: &mut Log,
    ledger: &Ledger,
    found: &BTreeMap<i64, Entry>,
    may_fail: bool,
) -> Result<(), Violation> {
    let (_, aborted) = ledger.transactions();
    let (start, high) = (log.log_start_offset(), log.high_watermark());
    let stable = log.last_stable_offset();
    let unstable = ledger.unstable(high);
    let earliest = unstable.iter().map(|(_, first)| *first).min().map_or(high, |first| first.max(start).min(high));
    // Where its first records are deleted, and with them the snapshot that knew of them, the log takes the first that is
    // left for its beginning, or knows nothing of it if none is: readers are shown the same.
    let left = |(producer, first): &(i64, i64)| {
        found.range(first..).find(|(_, entry)| entry.is_transactional_of(*producer)).map(|(offset, _)| *offset)
    };
    let latest = unstable.iter().filter_map(left).min().unwrap_or(high).min(high);
    // An empty batch that compaction left may be a beginning as well.
    let is_between = !ledger.compacted.is_empty() && earliest <= stable && stable <= latest;
    if stable != earliest && stable != latest && !is_between {
        return broken("L6", format!("last stable offset {stable}, expected {earliest} or {latest}"));
    }
    let listed = match log.aborted_transactions(start, high) {
        Ok(listed) => listed,
        Err(_) if may_fail => return Ok(()),
        Err(error) => return broken("T1", format!("aborted transactions are not known: {error}")),
    };
    for (offset, entry) in found.range(start..stable) {
        if !entry.is_transactional_of(entry.producer.0) {
            continue;
        }
        let is_void = aborted
            .iter()
            .any(|(producer, first, last)| *producer == entry.producer.0 && *first <= *offset && *offset < *last);
        let is_listed = listed
            .iter()
            .any(|one| one.producer_id == entry.producer.0 && one.first_offset <= *offset && *offset < one.last_offset);
        if is_void != is_listed {
            let is = if is_void { "aborted" } else { "committed" };
            return broken("T1", format!("offset {offset} was {is}, the list of aborted ones is {listed:?}"));
        }
    }
    match listed
        .iter()
        .find(|one| !aborted.iter().any(|known| (known.0, known.2) == (one.producer_id, one.last_offset)))
    {
        None => Ok(()),
        Some(one) => broken("T1", format!("aborted: {one:?} is none of {aborted:?}")),
    }
}

/// L8: a lookup by time gives the first record that is as late.
pub(crate) fn times(
    log: &mut Log,
    found: &BTreeMap<i64, Entry>,
    random: &mut Random,
    may_fail: bool,
) -> Result<(), Violation> {
    let high = log.high_watermark();
    let Some((_, entry)) = found.iter().nth(usize::try_from(random.below(30)).unwrap_or_default()) else {
        return Ok(());
    };
    let time = entry.timestamp - i64::try_from(random.below(3)).unwrap_or_default() + 1;
    let expected = found.range(..high).find(|(_, entry)| entry.timestamp >= time);
    let expected = expected.map(|(offset, entry)| (*offset, entry.timestamp));
    match log.offset_for_time(time) {
        Ok(found) => {
            let found = found.map(|found| (found.offset, found.timestamp));
            if found == expected { Ok(()) } else { broken("L8", format!("time {time}: {found:?}, not {expected:?}")) }
        }
        Err(_) if may_fail => Ok(()),
        Err(error) => broken("L8", format!("time {time} cannot be looked up: {error}")),
    }
}

/// L5 and T7 after a restart: the last batch of every producer is known when it comes again.
pub(crate) fn retries_are_known(
    log: &mut Log,
    ledger: &Ledger,
    producers: &BTreeMap<i64, (i16, i32)>,
    may_fail: bool,
) -> Result<(), Violation> {
    for (id, (epoch, next)) in producers.iter().filter(|(_, (_, next))| *next > 0) {
        let Some((last, _)) = ledger.last_sequence((*id, *epoch)) else { continue };
        // The batch that ends there: the log tells where it begins.
        let Ok(info) = log.read(last, 1, i64::MAX, true) else { continue };
        let Ok(batch) = RecordBatch::parse(info.records) else { continue };
        let base = batch.header().base_offset;
        let entries: Vec<_> = (base..=last).filter_map(|offset| ledger.entries.get(&offset)).collect();
        let Some(bytes) = repeat(&entries).filter(|_| entries.len() as i64 == last - base + 1) else { continue };
        let end = log.log_end_offset();
        match log.append(bytes, AppendOrigin::Client, LeaderEpoch(0), 0) {
            Ok(info) if info.duplicate && info.base_offset == base && log.log_end_offset() == end => {}
            Ok(info) => {
                let at = info.base_offset;
                return broken("L5", format!("producer {id} repeats {base}..={last} (next {next}), and gets {at}"));
            }
            Err(_) if may_fail => {}
            Err(error) => return broken("L5", format!("producer {id} repeats {base}..={last}: {error}")),
        }
    }
    Ok(())
}
