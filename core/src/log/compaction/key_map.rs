//! The last offset of every key in the part of a log that is compacted, in bounded memory.
//!
//! Keys themselves are not kept, only a 128-bit hash of each: SipHash-2-4-128 under a secret that is new for every run.
//! Two keys with one hash would make the older one's record be taken for superseded. With n keys the probability is at
//! most n² / 2¹²⁹: for the 1.9 million keys of the default buffer below 10⁻²⁶ a run, and, other than with an unkeyed
//! hash, nobody can choose keys that collide. Kafka's `SkimpyOffsetMap` does the same with an unkeyed MD5.
//!
//! The table is open addressed with linear probing, and grows by doubling; while it grows the old and the new one exist,
//! and the budget covers both.

/// Bytes of one slot: the hash and the offset.
const SLOT_BYTES: usize = 24;
/// Slots of the first table.
const SLOTS_MIN: usize = 1024;
const FREE: i64 = -1;
const _: () = assert!(size_of::<Slot>() == SLOT_BYTES);

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: [u64; 2],
    offset: i64,
}

/// How much memory the map may take, and under which secret it hashes.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyMapOptions {
    pub(super) bytes_max: usize,
    /// The share of slots that may be filled, in percent.
    pub(super) load_percent: usize,
    pub(super) secret: [u64; 2],
}

/// The map.
#[derive(Debug)]
pub(super) struct KeyMap {
    options: KeyMapOptions,
    slots: Vec<Slot>,
    len: usize,
    /// The offset up to which all records were looked at, -1 before the first.
    latest_offset: i64,
}

impl KeyMap {
    pub(super) fn new(options: KeyMapOptions) -> Self {
        let load_percent = options.load_percent.clamp(1, 99);
        Self { options: KeyMapOptions { load_percent, ..options }, slots: Vec::new(), len: 0, latest_offset: -1 }
    }

    /// Notes that the record at `offset` has `key`. False if the map is full and the key is not in it: nothing is noted.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = siphash_128(self.options.secret, key);
        if let Some(slot) = self.find(hash) {
            slot.offset = offset;
        } else {
            if (self.len + 1) * 100 > self.slots.len() * self.options.load_percent && !self.grow() {
                return false;
            }
            self.insert(Slot { hash, offset });
            self.len += 1;
        }
        self.latest_offset = self.latest_offset.max(offset);
        true
    }

    /// The last offset of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<i64> {
        let hash = siphash_128(self.options.secret, key);
        self.probe(hash).map(|slot| slot.offset)
    }

    pub(super) fn latest_offset(&self) -> i64 {
        self.latest_offset
    }

    pub(super) fn looked_up_to(&mut self, offset: i64) {
        self.latest_offset = self.latest_offset.max(offset);
    }

    /// How many keys are in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn home(&self, hash: [u64; 2]) -> usize {
        // The upper bits of a product spread a hash evenly over any number of slots.
        let slots = self.slots.len() as u128;
        usize::try_from((u128::from(hash[0]) * slots) >> 64).unwrap_or(0)
    }

    fn probe(&self, hash: [u64; 2]) -> Option<&Slot> {
        let (front, back) = self.slots.split_at_checked(self.home(hash))?;
        back.iter().chain(front).take_while(|slot| slot.offset != FREE).find(|slot| slot.hash == hash)
    }

    fn find(&mut self, hash: [u64; 2]) -> Option<&mut Slot> {
        let home = self.home(hash);
        let (front, back) = self.slots.split_at_mut_checked(home)?;
        back.iter_mut().chain(front).take_while(|slot| slot.offset != FREE).find(|slot| slot.hash == hash)
    }

    fn insert(&mut self, new: Slot) {
        let home = self.home(new.hash);
        let Some((front, back)) = self.slots.split_at_mut_checked(home) else { return };
        if let Some(slot) = back.iter_mut().chain(front).find(|slot| slot.offset == FREE) {
            *slot = new;
        }
    }

    /// Makes room; false if the budget leaves none.
    fn grow(&mut self) -> bool {
        let (old, budget) = (self.slots.len(), self.options.bytes_max / SLOT_BYTES);
        let new = if old == 0 { SLOTS_MIN.min(budget) } else { (old * 2).min(budget.saturating_sub(old)) };
        // Less than a tenth more is not worth a copy.
        if new * 10 <= old * 11 || new < 2 {
            return false;
        }
        let slots = std::mem::replace(&mut self.slots, vec![Slot { hash: [0; 2], offset: FREE }; new]);
        for slot in slots.into_iter().filter(|slot| slot.offset != FREE) {
            self.insert(slot);
        }
        (self.len + 1) * 100 <= self.slots.len() * self.options.load_percent
    }
}

/// SipHash-2-4 with 128 bits of output, by Aumasson and Bernstein.
fn siphash_128(key: [u64; 2], data: &[u8]) -> [u64; 2] {
    let [k0, k1] = key;
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let (words, rest) = data.as_chunks::<8>();
    for word in words {
        absorb(&mut v, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (target, source) in last.iter_mut().zip(rest) {
        *target = *source;
    }
    let length = (data.len() as u64) << 56;
    absorb(&mut v, u64::from_le_bytes(last) | length);
    v[2] ^= 0xee;
    let low = squeeze(&mut v);
    v[1] ^= 0xdd;
    [low, squeeze(&mut v)]
}

fn absorb(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    round(v);
    v[0] ^= word;
}

fn squeeze(v: &mut [u64; 4]) -> u64 {
    for _ in 0..4 {
        round(v);
    }
    let [a, b, c, d] = *v;
    a ^ b ^ c ^ d
}

fn round(v: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *v;
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    *v = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_hash_is_siphash() {
        // From the reference implementation: key 00 01 .. 0f, messages of 0 and of 1 byte.
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let bytes = |hash: [u64; 2]| u128::from_be_bytes(hash.map(u64::to_le_bytes).concat().try_into().unwrap());
        assert_eq!(bytes(siphash_128(key, &[])), 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293);
        assert_eq!(bytes(siphash_128(key, &[0])), 0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45);
    }

    #[test]
    fn it_is_a_map_until_its_memory_is_used_up() {
        let options = KeyMapOptions { bytes_max: 100_000, load_percent: 90, secret: [3, 4] };
        let (mut map, mut model) = (KeyMap::new(options), BTreeMap::new());
        assert_eq!(map.get(b"k"), None);
        let mut full = None;
        for offset in 0..10_000 {
            let key = (offset * 7919 % 4001).to_string();
            if map.put(key.as_bytes(), offset) {
                model.insert(key, offset);
            } else {
                full = Some(offset);
                break;
            }
        }
        let full = full.expect("4000 keys do not fit");
        assert!(map.slots.capacity() * SLOT_BYTES <= options.bytes_max);
        assert!(map.len() * SLOT_BYTES * 3 > options.bytes_max, "{} keys", map.len());
        assert_eq!((map.len(), map.latest_offset()), (model.len(), full - 1));
        for (key, offset) in &model {
            assert_eq!(map.get(key.as_bytes()), Some(*offset));
        }
        assert!(map.put(model.keys().next().unwrap().as_bytes(), full), "a key that is in it needs no room");
    }

    #[test]
    fn without_memory_it_takes_nothing() {
        let mut map = KeyMap::new(KeyMapOptions { bytes_max: 10, load_percent: 90, secret: [0; 2] });
        assert!(!map.put(b"k", 0));
        assert_eq!(map.latest_offset(), -1);
    }
}
